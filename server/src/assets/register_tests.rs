//! The register against real rows.

use siaga_protocol::inventory::{Package, WatchedFile};

use super::*;
use crate::records::{Records, hosts};

fn records_with_host() -> Records {
    let records = Records::in_memory().unwrap();
    let host = hosts::Host {
        id: "h1".to_owned(),
        instance: "web".to_owned(),
        machine_id: "m1".to_owned(),
        hostname: "web".to_owned(),
        agent_version: "1".to_owned(),
        interval_seconds: 15,
        enrolled_at_ms: 0,
        started_at_ms: None,
        last_seen_ms: None,
        actions: Vec::new(),
    };
    records.transaction(|db| hosts::insert(db, &host, "hash")).unwrap();
    records
}

fn inventory(packages: &[(&str, &str)]) -> Inventory {
    let package =
        |(name, version): &(&str, &str)| Package { name: (*name).to_owned(), version: (*version).to_owned() };
    Inventory {
        hostname: "web".to_owned(),
        packages: packages.iter().map(package).collect(),
        ..Inventory::default()
    }
}

fn run<T>(records: &Records, work: impl FnOnce(&Connection) -> Result<T, RecordsError>) -> T {
    records.transaction(|db| work(db)).unwrap()
}

fn history(records: &Records) -> Vec<(String, String, Option<String>)> {
    let rows = run(records, |db| asset_changes::list(db, None, 0, 100, 0));
    rows.into_iter().map(|row| (row.kind, row.field, row.new)).collect()
}

#[test]
fn a_first_report_is_one_change_and_the_next_only_what_differs() {
    let records = records_with_host();
    let many: Vec<(String, String)> = (0..1_000).map(|i| (format!("p{i}"), "1".to_owned())).collect();
    let mut first = inventory(&[]);
    first.packages = many.iter().map(|(n, v)| Package { name: n.clone(), version: v.clone() }).collect();
    run(&records, |db| take_over(db, "h1", "agent:web", &first, 1));
    assert_eq!(history(&records).len(), 1);
    run(&records, |db| take_over(db, "h1", "agent:web", &first, 2));
    assert_eq!(history(&records).len(), 1, "the same report again changes nothing");
    let mut second = first.clone();
    second.packages[7].version = "2".to_owned();
    run(&records, |db| take_over(db, "h1", "agent:web", &second, 3));
    assert_eq!(history(&records)[0], ("changed".to_owned(), "package p7".to_owned(), Some("2".to_owned())));
    let stored = run(&records, |db| assets::seen(db, 1)).unwrap();
    assert_eq!(diff(&stored, &second), []);
    assert_eq!(stored.packages.len(), 1_000);
}

#[test]
fn the_agent_never_overwrites_what_a_person_entered() {
    let records = records_with_host();
    let (code, _) = run(&records, |db| take_over(db, "h1", "agent:web", &inventory(&[]), 1));
    assert_eq!(code, "AST-0001");
    let entered =
        Entered { name: "Server SPSE".to_owned(), owner: "Kepala Bagian".to_owned(), ..Entered::default() };
    run(&records, |db| {
        let asset = assets::by_code(db, &code)?.unwrap();
        enter(db, &asset, &entered, "user:a", 2)
    });
    let mut changed = inventory(&[("openssl", "3")]);
    changed.hostname = "renamed".to_owned();
    run(&records, |db| take_over(db, "h1", "agent:web", &changed, 3));
    let asset = run(&records, |db| assets::by_code(db, &code)).unwrap();
    assert_eq!(asset.entered, entered);
    assert_eq!(asset.display_name(), "Server SPSE");
    assert_eq!((asset.seen_at_ms, asset.entered_at_ms), (Some(3), Some(2)));
    let trail = run(&records, |db| audit::latest(db, 1));
    assert_eq!((trail[0].action.as_str(), trail[0].subject.as_str()), ("asset.enter", "AST-0001"));
}

#[test]
fn a_host_is_one_asset_through_retirement_and_a_new_enrolment() {
    let records = records_with_host();
    let state = |records: &Records| run(records, |db| assets::by_code(db, "AST-0001")).unwrap().state;
    run(&records, |db| follow_hosts(db, 1));
    assert_eq!(state(&records), AssetState::InService);
    run(&records, |db| hosts::retire(db, "h1", 2));
    assert_eq!(run(&records, |db| follow_hosts(db, 3)), 1);
    assert_eq!(run(&records, |db| follow_hosts(db, 4)), 0);
    assert_eq!(state(&records), AssetState::Retired);
    run(&records, |db| hosts::enrol_again(db, "h1", "m1", "web", "2", "hash2"));
    run(&records, |db| follow_hosts(db, 5));
    assert_eq!(state(&records), AssetState::InService);
    let (all, total) = run(&records, |db| assets::list(db, &assets::Filter::default(), 10, 0));
    assert_eq!((all.len(), total), (1, 1));
}

#[test]
fn search_finds_codes_names_addresses_and_packages_and_takes_signs_as_they_are() {
    let records = records_with_host();
    let mut seen = inventory(&[("openssl", "3"), ("lib_x", "1")]);
    seen.interfaces = vec![siaga_protocol::inventory::Interface {
        addresses: vec!["10.9.8.7/24".to_owned()],
        ..Default::default()
    }];
    run(&records, |db| take_over(db, "h1", "agent:web", &seen, 1));
    let entered = Entered { name: "Sertifikat 100%".to_owned(), ..Entered::default() };
    run(&records, |db| add_by_hand(db, AssetClass::Informasi, &entered, "user:a", 2));
    let find = |text: &str, class| {
        let filter = assets::Filter { text: text.to_owned(), class };
        let (found, _) = run(&records, |db| assets::list(db, &filter, 10, 0));
        found.into_iter().map(|asset| asset.code).collect::<Vec<_>>()
    };
    assert_eq!(find("ast-0001", None), ["AST-0001"]);
    assert_eq!(find("10.9.8.7", None), ["AST-0001"]);
    assert_eq!(find("OpenSSL", None), ["AST-0001"]);
    assert_eq!(find("lib_x", None), ["AST-0001"]);
    assert_eq!(find("libax", None), Vec::<String>::new());
    assert_eq!(find("100%", None), ["AST-0002"]);
    assert_eq!(find("1%0", None), Vec::<String>::new());
    assert_eq!(find("", Some(AssetClass::Informasi)), ["AST-0002"]);
}

#[test]
fn a_file_that_changed_while_its_agent_told_of_none_is_in_the_history() {
    let records = records_with_host();
    let with = |size_bytes| Inventory {
        files: Some(vec![WatchedFile { path: "/etc/a".to_owned(), size_bytes, ..WatchedFile::default() }]),
        ..inventory(&[])
    };
    for (at_ms, report) in [(1, with(5)), (2, inventory(&[])), (3, with(6))] {
        run(&records, |db| take_over(db, "h1", "agent:web", &report, at_ms));
    }
    let change = ("changed".to_owned(), "file /etc/a".to_owned(), Some("size_bytes 6".to_owned()));
    let history = history(&records);
    assert_eq!((history.len(), &history[0]), (2, &change));
}
