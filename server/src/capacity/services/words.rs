//! Words for what is known of a service.

use siaga_forecast::{Headroom, LoadRefusal, LoadShape};

use super::analysis::{Follows, LoadFigures, PartFigures, Why};
use super::what_if::NoOutcome;
use crate::capacity::views;
use crate::console::Page;

/// A load with its unit.
pub(super) fn load(page: &Page, figures: &LoadFigures, value: f64) -> String {
    let digits = if value.abs() < 10.0 { 2 } else { usize::from(value.abs() < 1_000.0) };
    format!("{} {}", page.number(value, digits), figures.load.unit).trim_end().to_owned()
}

/// Name of a component.
pub(super) fn part(page: &Page, figures: &PartFigures) -> String {
    match figures.part.key() {
        Some(key) => format!("{} – {}", key.instance, views::resource_name(page, &key)),
        None => figures.part.name.clone(),
    }
}

/// Why something is not known.
pub(super) fn why(page: &Page, why: &Why) -> String {
    match why {
        Why::NotMeasured => page.t("capacity.service.why.not_measured"),
        Why::Unreadable(message) => page.tv("capacity.service.why.unreadable", &[("message", message)]),
        Why::Refused(LoadRefusal::TooFew { have, need }) => page
            .tv("capacity.service.why.too_few", &[("have", &have.to_string()), ("need", &need.to_string())]),
        Why::Refused(LoadRefusal::ConstantLoad) => page.t("capacity.service.why.constant_load"),
        Why::Refused(_) => page.t("capacity.service.why.no_relation"),
    }
}

/// Why a question is not answered for a component.
pub(super) fn no_outcome(page: &Page, reason: &NoOutcome) -> String {
    match reason {
        NoOutcome::Why(reason) => why(page, reason),
        NoOutcome::Tender(reason) => page.tv("capacity.service.why.tender", &[("why", &why(page, reason))]),
        NoOutcome::TooFar(factor) => {
            page.tv("capacity.service.why.too_far", &[("factor", &page.number(*factor, 1))])
        }
    }
}

/// The largest load before a threshold.
pub(super) fn headroom(page: &Page, figures: &LoadFigures, headroom: Headroom) -> String {
    let times = |value: f64| match figures.largest {
        Some(largest) if largest > 0.0 => {
            page.tv("capacity.service.times", &[("n", &page.number(value / largest, 2))])
        }
        _ => String::new(),
    };
    match headroom {
        Headroom::Load(value) => {
            format!("{} {}", load(page, figures, value), times(value)).trim_end().to_owned()
        }
        Headroom::Saturates(value) => {
            page.tv("capacity.service.saturates", &[("load", &load(page, figures, value))])
        }
        Headroom::Beyond(factor) => {
            page.tv("capacity.service.beyond", &[("factor", &page.number(factor, 0))])
        }
        Headroom::None => page.t("capacity.service.none_left"),
    }
}

/// How a component follows its load.
pub(super) fn shape(page: &Page, follows: &Follows) -> String {
    let key = match (follows.stretches.is_some(), follows.fit.shape) {
        (true, _) => "capacity.service.shape.growth",
        (false, LoadShape::Linear) => "capacity.service.shape.linear",
        (false, LoadShape::Scalability) => "capacity.service.shape.usl",
    };
    page.tv(
        key,
        &[
            ("explained", &page.percent(100.0 * follows.fit.explained)),
            ("points", &follows.fit.points.to_string()),
        ],
    )
}
