//! The Numenta Anomaly Benchmark's files: series with their labelled windows, and the profiles of cost.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::path::Path;

use flate2::read::GzDecoder;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

pub(super) type Windows = Vec<(i64, i64)>;

pub(super) struct Series {
    pub(super) folder: String,
    /// Milliseconds and value, oldest first.
    pub(super) rows: Vec<(i64, f64)>,
    /// First and last moment of each window, inclusive.
    pub(super) windows: Windows,
}

#[derive(Clone, Copy)]
pub(super) struct Profile {
    pub(super) tp: f64,
    pub(super) missed: f64,
    pub(super) fp: f64,
}

fn at(text: &str) -> Result<i64, Box<dyn Error>> {
    let moment: DateTime = text.parse()?;
    Ok(moment.to_zoned(TimeZone::UTC)?.timestamp().as_millisecond())
}

/// Every series of the folder `data` for which there are labels, by folder and file.
pub(super) fn read(corpus: &Path) -> Result<Vec<Series>, Box<dyn Error>> {
    let labels = File::open(corpus.join("labels/combined_windows.json"))?;
    let labels: BTreeMap<String, Vec<(String, String)>> = serde_json::from_reader(labels)?;
    let mut all = Vec::new();
    for (name, windows) in labels {
        let path = corpus.join("data").join(format!("{name}.gz"));
        if !path.exists() {
            continue;
        }
        let (folder, _) = name.split_once('/').ok_or("a label's name has no folder")?;
        let mut reader = csv::Reader::from_reader(GzDecoder::new(File::open(&path)?));
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record?;
            rows.push((at(&record[0])?, record[1].parse()?));
        }
        let windows = windows.iter().map(|(from, to)| Ok((at(from)?, at(to)?)));
        let windows = windows.collect::<Result<Windows, Box<dyn Error>>>()?;
        all.push(Series { folder: folder.to_owned(), rows, windows });
    }
    Ok(all)
}

/// Costs of each profile, as the benchmark's configuration states them.
pub(super) fn profiles(corpus: &Path) -> Result<BTreeMap<String, Profile>, Box<dyn Error>> {
    let all: serde_json::Value = serde_json::from_reader(File::open(corpus.join("config/profiles.json"))?)?;
    let all = all.as_object().ok_or("profiles.json holds no object")?;
    let cost = |value: &serde_json::Value, name: &str| {
        value["CostMatrix"][name].as_f64().ok_or_else(|| format!("profiles.json lacks {name}"))
    };
    all.iter()
        .map(|(name, value)| {
            let profile = Profile {
                tp: cost(value, "tpWeight")?,
                missed: cost(value, "fnWeight")?,
                fp: cost(value, "fpWeight")?,
            };
            Ok((name.clone(), profile))
        })
        .collect()
}
