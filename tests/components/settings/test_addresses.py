"""A secret in an address is found wherever it stands, however it is written, and never shown."""

import pytest
import yaml

from components.settings.addresses import check_no_secret, hidden, holds_secret
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.paths import ROOT

SECRETS = [
    "mysql://shop:hunter2@db/shop",
    "postgresql://shop:hunter2@db:5432/shop?sslmode=require",
    "mysql://shop@db/shop?passwd=hunter2",
    "mysql://shop@db/shop?password=hunter2",
    "mysql://shop@db/shop?PassWord=hunter2",
    "mysql://shop@db/shop?charset=utf8&passwd=hunter2&x=1",
    "mysql://shop@db/shop?charset=utf8;passwd=hunter2",
    "mysql://shop@db/shop?p%61sswd=hunter2",
    "postgresql://db/shop?sslpassword=hunter2",
    "postgresql://db/shop?options=-c%20password%3Dhunter2",
    "postgresql:///shop?host=db&user=shop&password=hunter2",
    "https://hooks/x?token=hunter2",
    "https://hooks/x?access_token=hunter2",
    "https://hooks/x?sig=hunter2",
    "https://hooks/x?api-key=hunter2",
    "https://hooks/x?key=hunter2",
    "s3://AKIA:hunter2@bucket/store",
    "az://container?account_key=hunter2",
    "s3://bucket/x?X-Amz-Signature=hunter2",
    "mysql://shop:hunt@er2@db/shop",
]
PLAIN = [
    "mysql://${USER}:${PASSWORD}@db/shop",
    "postgresql://shop@db/shop?sslmode=verify-full&sslkey=/keys/shop.key&passfile=/keys/pass",
    "mysql://db/shop?passwd=${PASSWORD}",
    "https://hooks/x?token=${TOKEN}",
    "${URL}",
    "s3://bucket/adloom",
    "/folder/with?strange=name",
    "gs://bucket/key=value/day=2026-01-01",
    "https://hooks/x?monkey=1&design=2&author=ann",
]


@pytest.mark.parametrize("address", SECRETS)
def test_a_secret_is_refused_and_not_repeated(address):
    assert holds_secret(address)
    with pytest.raises(UserError) as caught:
        check_no_secret(address, "source.url")
    assert str(caught.value).startswith("source.url holds a password") and "hunt" not in str(caught.value)


@pytest.mark.parametrize("address", [each for each in SECRETS if "%" not in each])
def test_a_secret_is_hidden_in_a_message(address):
    said = hidden(f"no server answers at {address} (refused)")
    assert "hunt" not in said and "er2" not in said and "***" in said and said.startswith("no server answers at ")


@pytest.mark.parametrize("address", PLAIN)
def test_what_is_no_secret_stays(address):
    assert check_no_secret(address, "source.url") == address
    assert hidden(address) == address


SETTINGS = [
    *("source.url", "notify.webhook", "features.encoder"),
    *("creatives.store", "creatives.pretrained", "creatives.text_encoder"),
]


@pytest.mark.parametrize("address", ["https://h/x?token=hunter2", "s3://AKIA:hunter2@bucket/x"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_no_setting_takes_one(setting, address, tmp_path):
    section, key = setting.split(".")
    with pytest.raises(UserError, match=setting) as caught:
        load_settings(ROOT / "params.yaml", "shop", (f"{setting}={address}",))
    assert "hunter2" not in str(caught.value)
    document = yaml.safe_load((ROOT / "params.yaml").read_text())
    document["datasets"] = {"shop": {section: {key: address}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(UserError, match=setting) as caught:
        load_settings(tmp_path / "params.yaml", "shop")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["source.urll=mysql://u:hunter2@h/d", "source.late_days=mysql://u:hunter2@h/d?password=hunter2"]
)
def test_an_error_about_another_setting_repeats_no_secret_either(text):
    with pytest.raises(UserError) as caught:
        load_settings(ROOT / "params.yaml", "shop", (text,))
    assert "hunter2" not in str(caught.value)
