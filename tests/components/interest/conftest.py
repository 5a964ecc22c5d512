"""Features of a file's own `tables`, by its own settings FEATURES."""

import pytest

from components.features import build_features, fit_features


@pytest.fixture(scope="module")
def model(request, tables):
    return fit_features(tables, request.module.FEATURES)


@pytest.fixture(scope="module")
def features(request, tables, model):
    return build_features(model, tables, request.module.FEATURES)
