//! `siaga-server what-if`: what would be of a service's components, asked of a running server.

use std::collections::BTreeMap;

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::client::{Client, ServerArgs};
use super::out;
use crate::http::encode_component;

#[derive(Debug, Args)]
pub(super) struct WhatIfArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The service, as entered on Kapasitas > Layanan.
    service: String,
    /// Times the load of the busiest hour.
    #[arg(long, default_value_t = 1.0)]
    load: f64,
    /// Servers that are missing in a pool, POOL=NUMBER; may be given several times.
    #[arg(long = "less", value_name = "POOL=NUMBER", value_parser = pair::<u32>)]
    less: Vec<(String, u32)>,
    /// Tenders that close in the same hour, beside that load.
    #[arg(long, default_value_t = 0)]
    tenders: u32,
    /// What is added to a component, HOST/RESOURCE:ITEM=AMOUNT or NAME=AMOUNT: bytes for filesystems and quotas, percent of
    /// what there is for processors and memory; may be given several times.
    #[arg(long = "add", value_name = "COMPONENT=AMOUNT", value_parser = pair::<f64>)]
    add: Vec<(String, f64)>,
}

fn pair<T: std::str::FromStr>(text: &str) -> Result<(String, T), String> {
    // A mount point may hold the sign.
    let (name, number) = text.rsplit_once('=').ok_or("not NAME=NUMBER")?;
    Ok((name.to_owned(), number.parse().map_err(|_| format!("{number:?} is no number that fits"))?))
}

#[derive(Debug, Deserialize)]
struct Answer {
    components: Vec<Component>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Component {
    id: String,
    load_now: Option<f64>,
    load_then: Option<f64>,
    used_now_percent: Option<f64>,
    used_then_percent: Option<f64>,
    used_at_most_percent: Option<f64>,
    threshold_percent: f64,
    days_then: Option<f64>,
    verdict: Option<String>,
    reason: Option<String>,
}

pub(super) async fn run(args: WhatIfArgs) -> anyhow::Result<()> {
    let client = Client::new(&args.server)?;
    let less: BTreeMap<String, u32> = args.less.into_iter().collect();
    let add: BTreeMap<String, f64> = args.add.into_iter().collect();
    let question =
        json!({ "load_factor": args.load, "servers_less": less, "tenders": args.tenders, "added": add });
    let path = format!("/api/v1/capacity/services/{}/what-if", encode_component(&args.service));
    let answer: Answer = client.post(&path, &question).await?;
    let rows: Vec<[String; 8]> = answer.components.iter().map(row).collect();
    out::print(out::table(HEAD, &rows).as_bytes())
}

const HEAD: [&str; 8] = [
    "RESULT",
    "COMPONENT",
    "LOAD NOW",
    "LOAD THEN",
    "USE NOW",
    "USE THEN",
    "AT MOST OR DAYS",
    "LIMIT OR REASON",
];

fn row(one: &Component) -> [String; 8] {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
    let percent = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}%"));
    let at_most = match (one.used_at_most_percent, one.days_then, &one.verdict) {
        (Some(at_most), ..) => percent(Some(at_most)),
        (None, Some(days), _) => format!("{days:.0} d"),
        (None, None, Some(_)) => "never".to_owned(),
        (None, None, None) => "-".to_owned(),
    };
    [
        one.verdict.clone().unwrap_or_else(|| "unknown".to_owned()),
        one.id.clone(),
        number(one.load_now),
        number(one.load_then),
        percent(one.used_now_percent),
        percent(one.used_then_percent),
        at_most,
        one.reason.clone().unwrap_or_else(|| percent(Some(one.threshold_percent))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_figures_days_and_reasons() {
        let fits = Component {
            id: "app-01/cpu".to_owned(),
            load_now: Some(100.0),
            load_then: Some(150.0),
            used_now_percent: Some(55.0),
            used_then_percent: Some(80.0),
            used_at_most_percent: Some(82.0),
            threshold_percent: 85.0,
            verdict: Some("fits".to_owned()),
            ..Component::default()
        };
        let disk = Component { used_at_most_percent: None, days_then: Some(41.6), ..fits.clone() };
        let unknown =
            Component { id: "b".to_owned(), reason: Some("not measured".to_owned()), ..Component::default() };
        let text = out::table(HEAD, &[row(&fits), row(&disk), row(&unknown)]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("fits") && lines[1].ends_with("82.0%            85.0%"), "{text}");
        assert!(lines[2].contains("42 d"), "{text}");
        assert!(lines[3].starts_with("unknown") && lines[3].ends_with("not measured"), "{text}");
    }

    #[test]
    fn a_pair_is_split_at_its_last_sign() {
        assert_eq!(pair::<f64>("a/filesystem:/x=y=5"), Ok(("a/filesystem:/x=y".to_owned(), 5.0)));
        assert!(pair::<u32>("app").is_err() && pair::<u32>("app=-1").is_err());
    }
}
