"""The law of the simulated marketplace: who clicks what, and what comes of a click.

Shopper s of segment g sees creative a at position k, local hour h, on day d, after n exposures:

    P(click = 1 | s, a, k, h, d, n) = k^-eta * sigmoid(b + u(s, a, h, d) - f log2(1 + n))           people      (1)
                                    = bots.click_rate                                               bots        (2)

    u = sigma_shopper readiness_s + clickbait [style_a = clickbait] - off_manifold off_a
        + cos(phi_d) v_0(s, a, h) + sin(phi_d) v_1(s, a, h),      phi_d = drift d / 28                          (3)

    v = sigma_quality Q_a                         quality: what everybody prefers
        + sigma_category C_s[category_a]          tastes: unit variance over shoppers and things
        + sigma_brand B_s[brand_a]
        + sigma_price p_s z_a                     z: standardised log price
        + sigma_look <l_s, look_a> / 2            look: four numbers from the pixels (look.py)
        + sigma_template G[g, template_a]         segment x template
        + sigma_headline H[g, style_a]            segment x headline
        + sigma_palette P[palette_a, bin(h)]      palette x hour, in four bins of six hours                     (4)

    Q_a = sqrt(.40) product + sqrt(.20) template + sqrt(.15) style + sqrt(.05) call
          + sqrt(.10) palette + sqrt(.10) <look weights, look_a>                                                (5)

    b = log(click_rate / mean_k k^-eta) - Var[u] / 2 - E[clickbait term]                                        (6)

off_a is how unlike real photos the picture is (look.py), in [0, 3]. (6) makes the mean over uniformly shown creatives
about `click_rate`, as E exp(N(0, s^2)) = exp(s^2 / 2). v_0 and v_1 have tastes and tables of their own and the same
variance, so drift turns one into the other without changing sizes. n counts the shopper's logged exposures to the same
subject (the product) before the impression, within `fatigue_window_days`. Examination, position^-eta: Joachims et al.
2017, WSDM. Composition of element qualities: AES (Alimama). After a click:

    P(conversion | click) = sigmoid(logit(rate) + taste T(s, a) + clickbait_conversion [style_a = clickbait])   (7)
    T = C_s[category_a] + p_s z_a, over sqrt 2;     delay ~ exponential(mean_delay_days), cut at window_days    (8)

A cut delay means: the sale still counts and comes at the window's end. What people answer (bots answer nothing):

    P(like | click) = like
    P(hide | no click, a) = hide m_a,      P(report | no click, a) = report m_a                                 (9)
    m_a = annoyance^[level_a = annoying] / (1 + (annoyance - 1) / levels)                                       (10)

level_a is a's headline style, template or palette (`feedback.element`), of which there are `levels`. (10) makes `hide`
and `report` the means over uniformly shown creatives, and an annoying creative `annoyance` times as likely to be hidden
as another. So an impression has ill feedback with probability

    P(ill = 1 | s, a, k, h, d, n) = (1 - P(click = 1 | s, a, k, h, d, n)) (hide + report) m_a                   (11)

Cost: bid / 1000 per impression (cpm) or bid
per click (cpc). Revenue: the product's price at a conversion.
"""

from dataclasses import dataclass, replace

import numpy as np

from components.simulator import vocabulary as words
from components.simulator.law_traits import Traits
from components.simulator.population import HOUR_BINS, Preferences, Shoppers
from components.simulator.scenario import LEVELS, Effects, Feedback, Scenario

SLOTS = np.array([0.5, 0.3, 0.2])  # share of pages with one, two and three ad slots
MONTH = 28.0  # days over which `drift` is given
_QUALITY_SHARES = {"product": 0.40, "template": 0.20, "headline": 0.15, "call": 0.05, "palette": 0.10, "look": 0.10}


@dataclass(frozen=True)
class Law:
    """Everything equation (1) needs: effect sizes, latent shoppers, and their preferences in both epochs of drift."""

    scenario: Scenario
    shoppers: Shoppers
    preferences: tuple[Preferences, Preferences]


@dataclass(frozen=True)
class Situation:
    """One row per decision to judge, all [n]: row of the shopper, row of the creative in its Traits, `position` >= 1,
    local `hour` 0..23, `day` since the start, and `exposures` >= 0 before it."""

    shopper: np.ndarray
    creative: np.ndarray
    position: np.ndarray
    hour: np.ndarray
    day: np.ndarray
    exposures: np.ndarray


def click_probability(law: Law, traits: Traits, at: Situation) -> np.ndarray:
    """Equations (1) and (2): float64 [n] in (0, 1)."""
    effects = law.scenario.effects
    utility = _base(law.scenario) + effects.shopper * law.shoppers.readiness[at.shopper]
    utility += drifting_preference(law, traits, at)
    utility -= effects.fatigue * np.log2(1.0 + at.exposures)
    people = examination(law.scenario, at.position) / (1.0 + np.exp(-utility))
    return np.where(law.shoppers.bot[at.shopper], law.scenario.bots.click_rate, people)


def examination(scenario: Scenario, position: np.ndarray) -> np.ndarray:
    """Probability that an ad at `position` (>= 1) is looked at, relative to the first: float64 in (0, 1]."""
    return np.asarray(position, np.float64) ** -scenario.exposure.position_decay


def drifting_preference(law: Law, traits: Traits, at: Situation) -> np.ndarray:
    """Equation (3) without readiness: float64 [n], log-odds."""
    fixed = plain_appeal(law.scenario.effects, traits)[at.creative]
    now = preference(law, traits, at, epoch=0)
    if law.scenario.drift == 0:
        return fixed + now
    cosine, sine = turn(law.scenario, at.day)
    return fixed + cosine * now + sine * preference(law, traits, at, epoch=1)


def turn(scenario: Scenario, day: np.ndarray | int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the two epochs on `day`: cos(phi_d) and sin(phi_d)."""
    angle = scenario.drift * np.asarray(day, np.float64) / MONTH
    return np.cos(angle), np.sin(angle)


def tastes_on(law: Law, day: int) -> Preferences:
    """Tastes as they are on `day`, for what shoppers do beside ads. (4) is linear in them, so blending them is (3)."""
    if law.scenario.drift == 0:
        return law.preferences[0]
    cosine, sine = turn(law.scenario, day)
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
    effects, likes = law.scenario.effects, law.preferences[epoch]
    return (
        effects.quality * quality(likes, traits)[at.creative]
        + personal(effects, likes, traits, at.shopper, at.creative)
        + segmental(effects, likes, law.shoppers.segment, traits, at)
    )


def plain_appeal(effects: Effects, traits: Traits) -> np.ndarray:
    """The terms of (3) that neither shopper nor time changes: float64 [m], log-odds."""
    return effects.clickbait * (traits.headline == words.CLICKBAIT) - effects.off_manifold * traits.penalty


def quality(likes: Preferences, traits: Traits) -> np.ndarray:
    """Equation (5): float64 [m], unit variance over things drawn at random."""
    parts = {
        "product": likes.product[traits.product],
        "template": likes.template[traits.template],
        "headline": likes.headline[traits.headline],
        "call": likes.call[traits.call],
        "palette": likes.palette[traits.palette],
        "look": traits.look @ likes.look_quality,
    }
    return sum(np.sqrt(share) * parts[name] for name, share in _QUALITY_SHARES.items())


def personal(
    effects: Effects, likes: Preferences, traits: Traits, shopper: np.ndarray, thing: np.ndarray
) -> np.ndarray:
    """The four tastes of (4) for rows (shopper, thing): float64 [n], log-odds."""
    width = likes.category.shape[1]
    looks = np.einsum("nj,nj->n", likes.look[shopper], traits.look[thing]) / np.sqrt(traits.look.shape[1])
    return (
        # take() on the flat table: one gather per pair, where [shopper, code] would broadcast two index arrays.
        effects.taste_category * likes.category.take(shopper * width + traits.category[thing] % width)
        + effects.taste_brand * likes.brand[shopper, traits.brand[thing]]
        + effects.taste_price * likes.price[shopper] * traits.price[thing]
        + effects.taste_look * looks
    )


def segmental(effects: Effects, likes: Preferences, segment: np.ndarray, traits: Traits, at: Situation) -> np.ndarray:
    """The segment x template, segment x headline and palette x hour terms of (4): float64 [n], log-odds."""
    group = segment[at.shopper]
    hours = at.hour // (24 // HOUR_BINS)
    return (
        effects.segment_template * likes.segment_template[group, traits.template[at.creative]]
        + effects.segment_headline * likes.segment_headline[group, traits.headline[at.creative]]
        + effects.palette_hour * likes.palette_hour[traits.palette[at.creative], hours]
    )


def _base(scenario: Scenario) -> float:
    """Equation (6)."""
    effects = scenario.effects
    sizes = effects.model_dump(exclude={"off_manifold", "fatigue", "clickbait"})
    share = 1.0 / len(words.HEADLINE_STYLES)
    variance = sum(size**2 for size in sizes.values()) + effects.clickbait**2 * share * (1 - share)
    seen = mean_examination(scenario)
    return float(np.log(scenario.click_rate / seen) - variance / 2 - effects.clickbait * share)


def mean_examination(scenario: Scenario) -> float:
    """Mean of k^-eta over the slots that pages have."""
    slots = np.array([SLOTS[k:].sum() for k in range(len(SLOTS))])  # pages that have a slot k + 1
    return float((examination(scenario, np.arange(len(SLOTS)) + 1) * slots).sum() / slots.sum())


def conversion_probability(law: Law, traits: Traits, shopper: np.ndarray, creative: np.ndarray) -> np.ndarray:
    """Equation (7) for clicked rows: float64 [n] in (0, 1). Epoch 0 throughout: what people buy does not drift."""
    settings, likes = law.scenario.conversion, law.preferences[0]
    taste = (
        likes.category[shopper, traits.category[creative]] + likes.price[shopper] * traits.price[creative]
    ) / np.sqrt(2)
    logit = np.log(settings.rate / (1 - settings.rate)) + settings.taste * taste
    logit = logit + settings.clickbait * (traits.headline[creative] == words.CLICKBAIT)
    return 1.0 / (1.0 + np.exp(-logit))


def annoyance_factor(feedback: Feedback, traits: Traits) -> np.ndarray:
    """Equation (10): float64 [m] > 0, by how much each creative multiplies the chances of `hide` and `report`."""
    levels = LEVELS[feedback.element]
    annoys = getattr(traits, feedback.element) == levels.index(feedback.annoying)
    return np.where(annoys, feedback.annoyance, 1.0) / (1.0 + (feedback.annoyance - 1.0) / len(levels))


def ill_feedback_probability(law: Law, traits: Traits, at: Situation) -> np.ndarray:
    """Equation (11): float64 [n] in [0, 1), the chance that the impression is hidden or reported; 0 for bots."""
    feedback = law.scenario.feedback
    unclicked = 1.0 - click_probability(law, traits, at)
    ill = unclicked * (feedback.hide + feedback.report) * annoyance_factor(feedback, traits)[at.creative]
    return np.where(law.shoppers.bot[at.shopper], 0.0, ill)


def exposures_before(
    log: tuple[np.ndarray, np.ndarray, np.ndarray], asked: tuple[np.ndarray, np.ndarray, np.ndarray], window_days: int
) -> np.ndarray:
    """How often each asked (shopper, subject) was shown in the window before its time: int64 [n].

    Both arguments are (shopper row, subject code, milliseconds since START), int64 each. [t - window, t) is counted,
    so neither the impression itself nor the other slots of its page are.
    """
    subjects = int(max(log[1].max(initial=0), asked[1].max(initial=0))) + 1
    horizon = int(max(log[2].max(initial=0), asked[2].max(initial=0))) + 1
    window = window_days * 86_400_000

    def key(shopper: np.ndarray, subject: np.ndarray, moment: np.ndarray) -> np.ndarray:
        # The gap between two pairs is at least a window, so that no count reaches into the pair before.
        return (shopper * subjects + subject) * (horizon + window) + moment

    known = np.sort(key(*log))
    upto = key(*asked)
    return np.searchsorted(known, upto) - np.searchsorted(known, upto - window)
