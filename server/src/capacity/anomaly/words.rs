//! What is unusual, in words. Pure.

use siaga_forecast::anomaly::Sign;

use super::quantity::Quantity;
use super::watch::Unusual;
use crate::console::Page;

/// A value of a quantity.
pub(super) fn value(page: &Page, quantity: Quantity, value: f64) -> String {
    match quantity {
        Quantity::Cpu | Quantity::Memory | Quantity::DiskBusy => page.percent(value),
        Quantity::Load => page.number(value, 2),
        Quantity::Received | Quantity::Sent | Quantity::Written => format!("{}/s", page.bytes(value)),
    }
}

/// Name of a quantity.
pub(super) fn name(page: &Page, quantity: Quantity) -> String {
    page.t(&format!("capacity.anomaly.quantity.{}", quantity.code()))
}

/// What a sign says.
fn sign(page: &Page, (sign, strength): (Sign, f64)) -> String {
    let code = match sign {
        Sign::Level => "level",
        Sign::Jump => "jump",
        Sign::Season => "season",
        Sign::Mean => "mean",
        Sign::Spread => "spread",
    };
    let side = if strength >= 0.0 { "up" } else { "down" };
    page.t(&format!("capacity.anomaly.sign.{code}_{side}"))
}

/// The signs of an episode, the strongest first.
pub(super) fn signs(page: &Page, unusual: &Unusual) -> String {
    let all: Vec<String> = unusual.episode.signs.iter().map(|one| sign(page, *one)).collect();
    all.join("; ")
}

pub(super) fn title(page: &Page, unusual: &Unusual) -> String {
    let (name, value) = (name(page, unusual.quantity), value(page, unusual.quantity, unusual.episode.value));
    page.tv(
        "capacity.anomaly.title",
        &[("quantity", &name), ("instance", &unusual.instance), ("value", &value)],
    )
}

pub(super) fn detail(page: &Page, unusual: &Unusual) -> String {
    page.tv(
        "capacity.anomaly.detail",
        &[
            ("signs", &signs(page, unusual)),
            ("when", &page.datetime(unusual.episode.at_ms)),
            ("peak", &value(page, unusual.quantity, unusual.episode.value)),
        ],
    )
}

#[cfg(test)]
mod tests {
    use siaga_forecast::anomaly::{Episode, SIGNS};

    use super::*;
    use crate::config::{Language, TimeZoneName};

    #[test]
    fn every_sign_and_quantity_has_its_words_in_both_languages() {
        for language in [Language::Indonesian, Language::English] {
            let page = Page::detached(language, "LPSE", TimeZoneName::default(), false);
            for strength in [2.0, -2.0] {
                for quantity in Quantity::ALL {
                    let signs = SIGNS.map(|sign| (sign, strength)).to_vec();
                    let episode = Episode { since_ms: 0, signs, value: 93.25, at_ms: 0 };
                    let unusual = Unusual { instance: "app-01".to_owned(), quantity, episode, value: 1.0 };
                    let text = format!("{} {}", title(&page, &unusual), detail(&page, &unusual));
                    assert!(!text.contains("capacity.") && !text.contains("%{"), "{text}");
                    assert!(text.contains("app-01"), "{text}");
                }
            }
        }
    }
}
