//! `siaga-server forecast`: the newest forecasts of a running server as a table, the most urgent first.

use clap::Args;
use serde::Deserialize;

use super::client::{Client, ServerArgs};
use super::out;

#[derive(Debug, Args)]
pub(super) struct ForecastArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Only this host.
    #[arg(long)]
    instance: Option<String>,
    /// Make the forecasts anew first; needs the right to plan capacity.
    #[arg(long)]
    refresh: bool,
}

#[derive(Debug, Deserialize)]
struct Answer {
    forecasts: Vec<Forecast>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Forecast {
    instance: String,
    resource: String,
    item: String,
    state: String,
    current_percent: Option<f64>,
    #[serde(default)]
    standing: String,
    threshold_percent: f64,
    crossing: Option<String>,
    earliest_days: Option<f64>,
    likely_days: Option<f64>,
    latest_days: Option<f64>,
    model: Option<String>,
    reason_text: Option<String>,
}

pub(super) async fn run(args: ForecastArgs) -> anyhow::Result<()> {
    let client = Client::new(&args.server)?;
    if args.refresh {
        let _: serde_json::Value = client.post("/api/v1/forecasts/refresh", &serde_json::json!({})).await?;
    }
    let answer: Answer = client.get("/api/v1/forecasts").await?;
    let wanted = |forecast: &&Forecast| args.instance.as_ref().is_none_or(|name| *name == forecast.instance);
    let rows: Vec<[String; 9]> = answer.forecasts.iter().filter(wanted).map(row).collect();
    out::print(out::table(HEAD, &rows).as_bytes())
}

const HEAD: [&str; 9] =
    ["STATE", "INSTANCE", "RESOURCE", "NOW", "LIMIT", "EARLIEST", "LIKELY", "LATEST", "MODEL OR REASON"];

fn row(forecast: &Forecast) -> [String; 9] {
    let percent = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}%"));
    let days = |days: Option<f64>| match (forecast.crossing.as_deref(), days) {
        (None, _) => "-".to_owned(),
        (Some("past"), _) => "now".to_owned(),
        (_, Some(days)) => format!("{days:.1} d"),
        (_, None) => "> 1 year".to_owned(),
    };
    let resource = if forecast.item.is_empty() {
        forecast.resource.clone()
    } else {
        format!("{} {}", forecast.resource, forecast.item)
    };
    let now = percent(forecast.current_percent);
    let now = if forecast.standing == "late" { format!("{now} (late)") } else { now };
    let why = forecast.reason_text.clone().or_else(|| forecast.model.clone()).unwrap_or_default();
    [
        forecast.state.clone(),
        forecast.instance.clone(),
        resource,
        now,
        percent(Some(forecast.threshold_percent)),
        days(forecast.earliest_days),
        days(forecast.likely_days),
        days(forecast.latest_days),
        why,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_dates_never_and_reasons() {
        let base = Forecast {
            instance: "web".to_owned(),
            resource: "filesystem".to_owned(),
            item: "/".to_owned(),
            state: "warning".to_owned(),
            current_percent: Some(71.25),
            threshold_percent: 90.0,
            crossing: Some("within".to_owned()),
            earliest_days: Some(3.0),
            likely_days: Some(9.96),
            model: Some("robust_trend".to_owned()),
            ..Forecast::default()
        };
        let refused = Forecast {
            resource: "memory".to_owned(),
            item: String::new(),
            state: "unknown".to_owned(),
            current_percent: None,
            crossing: None,
            standing: "brief".to_owned(),
            reason_text: Some("needs 24 hours\u{1b}".to_owned()),
            ..base.clone()
        };
        let text = out::table(HEAD, &[row(&base), row(&refused)]);
        assert_eq!(
            text,
            "STATE    INSTANCE  RESOURCE      NOW    LIMIT  EARLIEST  LIKELY  LATEST    MODEL OR REASON\n\
             warning  web       filesystem /  71.2%  90.0%  3.0 d     10.0 d  > 1 year  robust_trend\n\
             unknown  web       memory        -      90.0%  -         -       -         needs 24 hours?\n"
        );
    }
}
