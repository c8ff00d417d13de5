//! How much load fits, as series of their own.

use siaga_forecast::Headroom;
use siaga_protocol::metric_names::{FORECAST_HEADROOM, FORECAST_HEADROOM_RATIO, FORECAST_SERVICE_LOAD};

use super::run::Analysed;
use crate::metrics::OwnSample;
use crate::time::Millis;

/// Samples of a service at `now_ms`. What is not known has none; "beyond what can be said" is `+Inf`.
pub(in crate::capacity) fn samples(analysed: &Analysed, now_ms: Millis) -> Vec<OwnSample> {
    let service = analysed.name();
    let mut samples = Vec::new();
    for load in &analysed.loads {
        let Some(largest) = load.largest else { continue };
        let labels = [("service", service), ("load", load.load.name.as_str())];
        samples.push(OwnSample::new(FORECAST_SERVICE_LOAD, &labels, now_ms, largest));
    }
    for part in &analysed.parts {
        let Ok(follows) = &part.follows else { continue };
        let Some(load) = analysed.loads.get(follows.load) else { continue };
        let id = part.part.id();
        let value = |headroom| match headroom {
            Headroom::Load(load) | Headroom::Saturates(load) => load,
            Headroom::Beyond(_) => f64::INFINITY,
            Headroom::None => 0.0,
        };
        for (bound, headroom) in [("likely", follows.likely), ("cautious", follows.cautious)] {
            let labels = [
                ("service", service),
                ("component", id.as_str()),
                ("load", load.load.name.as_str()),
                ("bound", bound),
            ];
            let value = value(headroom);
            samples.push(OwnSample::new(FORECAST_HEADROOM, &labels, now_ms, value));
            if let Some(largest) = load.largest.filter(|largest| *largest > 0.0) {
                samples.push(OwnSample::new(FORECAST_HEADROOM_RATIO, &labels, now_ms, value / largest));
            }
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::super::analysis::tests::example;
    use super::super::definition::{Entered, Service};
    use super::*;

    #[test]
    fn what_fits_is_published_by_service_component_and_load_and_what_is_not_known_is_not() {
        let (loads, parts) = example();
        let service = Service { name: "SPSE".to_owned(), ..Service::default() };
        let entered = Entered { service, at_ms: 0, by: String::new() };
        let samples = samples(&Analysed { entered, at_ms: 0, loads, parts }, 7);
        let ratios: Vec<_> = samples
            .iter()
            .filter(|s| s.labels.iter().any(|(_, value)| value == FORECAST_HEADROOM_RATIO))
            .collect();
        assert_eq!(ratios.len(), 4, "two bounds of the processor and the disk, none of the memory");
        assert!((1.4..1.8).contains(&ratios[0].value), "{ratios:?}");
        assert!(ratios[1].value < ratios[0].value);
        assert_eq!(samples.len(), 2 + 8);
    }
}
