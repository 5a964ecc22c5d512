"""The click law of the simulated marketplace: true probabilities of clicks, conversions and feedback.

Shopper s of segment g sees creative a at position k, local hour h, on day d, after n exposures:

    P(click = 1 | s, a, k, h, d, n) = k^-eta * sigmoid(b + u(s, a, h, d) - f log2(1 + n))           people      (1)
                                    = bots.click_rate                                               bots        (2)

    u = sigma_shopper readiness_s + clickbait [style_a = clickbait] - off_manifold off_a
        + cos(phi_d) v_0(s, a, h) + sin(phi_d) v_1(s, a, h),      phi_d = drift d / 28                          (3)

    v = sigma_quality Q_a                         quality: what everybody prefers
        + sigma_category C_s[category_a]          tastes: unit variance over shoppers and things
        + sigma_brand B_s[brand_a]
        + sigma_price p_s z_a                     z: standardised log price
        + sigma_look <l_s, look_a> / 2            look: four numbers from the pixels (photos/image_look.py)
        + sigma_template G[g, template_a]         segment x template
        + sigma_headline H[g, style_a]            segment x headline
        + sigma_palette P[palette_a, bin(h)]      palette x hour, in four bins of six hours                     (4)

    Q_a = sqrt(.40) product + sqrt(.20) template + sqrt(.15) style + sqrt(.05) call
          + sqrt(.10) palette + sqrt(.10) <look weights, look_a>                                                (5)

    b = log(click_rate / mean_k k^-eta) - Var[u] / 2 - E[clickbait term]                                        (6)

off_a in [0, 3] is the image's distance from real photos (photos/image_look.py). (6) makes the mean over uniformly shown
creatives about `click_rate`, since E exp(N(0, s^2)) = exp(s^2 / 2). v_0 and v_1 have independent tastes and tables of
the same variance, so drift turns one into the other at constant effect sizes. n counts the shopper's logged exposures
to the same subject (the product) before the impression, within `fatigue_window_days`. Examination, position^-eta:
Joachims et al. 2017, WSDM. Composition of element qualities: AES (Alimama). After a click:

    P(conversion | click) = sigmoid(logit(rate) + taste T(s, a) + clickbait_conversion [style_a = clickbait])   (7)
    T = C_s[category_a] + p_s z_a, over sqrt 2;     delay ~ exponential(mean_delay_days), cut at window_days    (8)

A conversion with a cut delay still counts; its time is the window's end. Feedback of people (bots give none):

    P(like | click) = like
    P(hide | no click, a) = hide m_a,      P(report | no click, a) = report m_a                                 (9)
    m_a = annoyance^[level_a = annoying] / (1 + (annoyance - 1) / levels)                                       (10)

level_a is a's headline style, template or palette (`feedback.element`), of which there are `levels`. (10) makes `hide`
and `report` the means over uniformly shown creatives, and an annoying creative `annoyance` times as likely to be hidden
as another. So an impression has ill feedback with probability

    P(ill = 1 | s, a, k, h, d, n) = (1 - P(click = 1 | s, a, k, h, d, n)) (hide + report) m_a                   (11)

Cost: bid / 1000 per impression (cpm) or bid per click (cpc). Revenue: the product's price at a conversion.
"""

from dataclasses import dataclass, replace

import numpy as np

from components.simulator import vocabulary as words
from components.simulator.law_traits import Traits
from components.simulator.population import HOUR_BINS, Preferences, Shoppers
from components.simulator.scenario import LEVELS, Effects, Feedback, Scenario

SLOTS = np.array([0.5, 0.3, 0.2])  # share of pages with one, two and three ad slots
MONTH = 28.0  # days over which `drift` is given
QUALITY_SHARES = {"product": 0.40, "template": 0.20, "headline": 0.15, "call": 0.05, "palette": 0.10, "look": 0.10}


@dataclass(frozen=True)
class Law:
    """The parameters of equation (1): effect sizes, latent shoppers, and their preferences in both epochs of drift."""

    scenario: Scenario
    shoppers: Shoppers
    preferences: tuple[Preferences, Preferences]


@dataclass(frozen=True)
class Situation:
    """The arguments of equation (1), one row per (shopper, creative, impression), all int64 [n].

    Row of the shopper, row of the creative in its Traits, `position` >= 1, local `hour` 0..23, `day` since START, and
    number of earlier `exposures`.
    """

    shopper: np.ndarray
    creative: np.ndarray
    position: np.ndarray
    hour: np.ndarray
    day: np.ndarray
    exposures: np.ndarray


def click_probability(law: Law, traits: Traits, at: Situation) -> np.ndarray:
    """Equations (1) and (2): float64 [n] in (0, 1)."""
    effects = law.scenario.effects
    utility = _intercept(law.scenario) + effects.shopper * law.shoppers.readiness[at.shopper]
    utility += drifting_preference(law, traits, at)
    utility -= effects.fatigue * np.log2(1.0 + at.exposures)
    people = examination(law.scenario, at.position) / (1.0 + np.exp(-utility))
    return np.where(law.shoppers.bot[at.shopper], law.scenario.bots.click_rate, people)


def examination(scenario: Scenario, position: np.ndarray) -> np.ndarray:
    """Probability that an ad at `position` (>= 1) is examined, relative to the first: float64 in (0, 1]."""
    return np.asarray(position, np.float64) ** -scenario.exposure.position_decay


def drifting_preference(law: Law, traits: Traits, at: Situation) -> np.ndarray:
    """Equation (3) without readiness: float64 [n], log-odds."""
    fixed = plain_appeal(law.scenario.effects, traits)[at.creative]
    now = preference(law, traits, at, epoch=0)
    if law.scenario.drift == 0:
        return fixed + now
    cosine, sine = drift_weights(law.scenario, at.day)
    return fixed + cosine * now + sine * preference(law, traits, at, epoch=1)


def drift_weights(scenario: Scenario, day: np.ndarray | int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the two epochs on `day`, cos(phi_d) and sin(phi_d) in (3)."""
    angle = scenario.drift * np.asarray(day, np.float64) / MONTH
    return np.cos(angle), np.sin(angle)


def preferences_on(law: Law, day: int) -> Preferences:
    """Tastes on `day`, for events. Their weighted sum equals (3), since (4) is linear in them."""
    if law.scenario.drift == 0:
        return law.preferences[0]
    cosine, sine = drift_weights(law.scenario, day)
    before, after = law.preferences
    return replace(
        before,
        category=cosine * before.category + sine * after.category,
        brand=cosine * before.brand + sine * after.brand,
        price=cosine * before.price + sine * after.price,
        look=cosine * before.look + sine * after.look,
    )


def preference(law: Law, traits: Traits, at: Situation, epoch: int) -> np.ndarray:
    """Equation (4): float64 [n], log-odds."""
    effects, preferences = law.scenario.effects, law.preferences[epoch]
    return (
        effects.quality * quality(preferences, traits)[at.creative]
        + personal(effects, preferences, traits, at.shopper, at.creative)
        + segmental(effects, preferences, law.shoppers.segment, traits, at)
    )


def plain_appeal(effects: Effects, traits: Traits) -> np.ndarray:
    """The terms of (3) that depend on the creative only: float64 [m], log-odds."""
    return effects.clickbait * (traits.headline == words.CLICKBAIT) - effects.off_manifold * traits.penalty


def quality(preferences: Preferences, traits: Traits) -> np.ndarray:
    """Equation (5): float64 [m], of unit variance over randomly drawn creatives."""
    parts = {
        "product": preferences.product[traits.product],
        "template": preferences.template[traits.template],
        "headline": preferences.headline[traits.headline],
        "call": preferences.call[traits.call],
        "palette": preferences.palette[traits.palette],
        "look": traits.look @ preferences.look_quality,
    }
    return sum(np.sqrt(share) * parts[name] for name, share in QUALITY_SHARES.items())


def personal(
    effects: Effects, preferences: Preferences, traits: Traits, shopper: np.ndarray, creative: np.ndarray
) -> np.ndarray:
    """The four taste terms of (4) for pairs (shopper, creative): float64 [n], log-odds."""
    width = preferences.category.shape[1]
    looks = np.einsum("nj,nj->n", preferences.look[shopper], traits.look[creative]) / np.sqrt(traits.look.shape[1])
    return (
        # take() on the flat table gathers once per pair; [shopper, code] would broadcast two index arrays.
        effects.taste_category * preferences.category.take(shopper * width + traits.category[creative] % width)
        + effects.taste_brand * preferences.brand[shopper, traits.brand[creative]]
        + effects.taste_price * preferences.price[shopper] * traits.price[creative]
        + effects.taste_look * looks
    )


def segmental(
    effects: Effects, preferences: Preferences, segment: np.ndarray, traits: Traits, at: Situation
) -> np.ndarray:
    """The segment x template, segment x headline and palette x hour terms of (4): float64 [n], log-odds."""
    group = segment[at.shopper]
    hours = at.hour // (24 // HOUR_BINS)
    return (
        effects.segment_template * preferences.segment_template[group, traits.template[at.creative]]
        + effects.segment_headline * preferences.segment_headline[group, traits.headline[at.creative]]
        + effects.palette_hour * preferences.palette_hour[traits.palette[at.creative], hours]
    )


def _intercept(scenario: Scenario) -> float:
    """Equation (6)."""
    effects = scenario.effects
    sizes = effects.model_dump(exclude={"off_manifold", "fatigue", "clickbait"})
    share = 1.0 / len(words.HEADLINE_STYLES)
    variance = sum(size**2 for size in sizes.values()) + effects.clickbait**2 * share * (1 - share)
    click_rate = scenario.click_rate / mean_examination(scenario)
    return float(np.log(click_rate) - variance / 2 - effects.clickbait * share)


def mean_examination(scenario: Scenario) -> float:
    """Mean of k^-eta over the ad slots of all pages."""
    slots = np.array([SLOTS[k:].sum() for k in range(len(SLOTS))])  # share of pages with a slot k + 1
    return float((examination(scenario, np.arange(len(SLOTS)) + 1) * slots).sum() / slots.sum())


def conversion_probability(law: Law, traits: Traits, shopper: np.ndarray, creative: np.ndarray) -> np.ndarray:
    """Equation (7) for clicked rows: float64 [n] in (0, 1), with the preferences of epoch 0: purchases do not drift."""
    settings, preferences = law.scenario.conversion, law.preferences[0]
    taste = (
        preferences.category[shopper, traits.category[creative]] + preferences.price[shopper] * traits.price[creative]
    ) / np.sqrt(2)
    logit = np.log(settings.rate / (1 - settings.rate)) + settings.taste * taste
    logit = logit + settings.clickbait * (traits.headline[creative] == words.CLICKBAIT)
    return 1.0 / (1.0 + np.exp(-logit))


def annoyance_factor(feedback: Feedback, traits: Traits) -> np.ndarray:
    """Equation (10): float64 [m] > 0, each creative's factor on the probabilities of `hide` and `report`."""
    levels = LEVELS[feedback.element]
    annoys = getattr(traits, feedback.element) == levels.index(feedback.annoying)
    return np.where(annoys, feedback.annoyance, 1.0) / (1.0 + (feedback.annoyance - 1.0) / len(levels))


def ill_feedback_probability(law: Law, traits: Traits, at: Situation) -> np.ndarray:
    """Equation (11): float64 [n] in [0, 1), the probability that the ad is hidden or reported; 0 for bots."""
    feedback = law.scenario.feedback
    unclicked = 1.0 - click_probability(law, traits, at)
    ill = unclicked * (feedback.hide + feedback.report) * annoyance_factor(feedback, traits)[at.creative]
    return np.where(law.shoppers.bot[at.shopper], 0.0, ill)


def exposures_before(
    log: tuple[np.ndarray, np.ndarray, np.ndarray], queried: tuple[np.ndarray, np.ndarray, np.ndarray], window_days: int
) -> np.ndarray:
    """Number of exposures of each queried (shopper, subject) in [t - window, t): int64 [n].

    Both arguments are (shopper row, subject code, t in milliseconds since START), int64 each. Neither the impression
    itself nor the other slots of its page count.
    """
    subjects = int(max(log[1].max(initial=0), queried[1].max(initial=0))) + 1
    horizon = int(max(log[2].max(initial=0), queried[2].max(initial=0))) + 1
    window = window_days * 86_400_000

    def key(shopper: np.ndarray, subject: np.ndarray, moment: np.ndarray) -> np.ndarray:
        # Keys of different pairs differ by at least a window, so no count includes another pair.
        return (shopper * subjects + subject) * (horizon + window) + moment

    logged = np.sort(key(*log))
    until = key(*queried)
    return np.searchsorted(logged, until) - np.searchsorted(logged, until - window)
