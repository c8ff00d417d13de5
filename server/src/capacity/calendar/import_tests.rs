//! Good files give their events, bad ones the number of the line and the reason; nothing makes the reader panic.

use proptest::prelude::*;

use super::*;
use crate::time::HOUR_MS;

/// 24 December 2026, 00:00 in Jakarta.
const EVE: Millis = 1_798_045_200_000;

fn jakarta() -> TimeZone {
    TimeZone::get("Asia/Jakarta").unwrap()
}

fn read_as(format: EventFormat, text: &str) -> Parsed {
    read(format, text, EventCategory::Tender, &jakarta())
}

#[test]
fn icalendar_gives_days_times_zones_and_lengths() {
    let text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n\
        BEGIN:VEVENT\r\nUID:a@spse\r\nDTSTART:20261224T010000Z\r\nSUMMARY:Penutupan\\, paket 1\r\n\
        BEGIN:VALARM\r\nTRIGGER:-PT1H\r\nDTSTART:19990101\r\nEND:VALARM\r\nEND:VEVENT\r\n\
        BEGIN:VEVENT\r\nUID:b\r\nDTSTART;VALUE=DATE:20261224\r\nSUMMARY:Cuti \r\n bersama\r\nCATEGORIES:LIBUR\r\nEND:VEVENT\r\n\
        BEGIN:VEVENT\r\nUID:c\r\nDTSTART;TZID=Asia/Makassar:20261224T100000\r\nDURATION:PT2H\r\nSUMMARY:x\r\nEND:VEVENT\r\n\
        BEGIN:VEVENT\r\nUID:d\r\nDTSTART:20261224T100000\r\nDTEND:20261224T120000\r\nSUMMARY:y\r\nEND:VEVENT\r\n\
        BEGIN:VEVENT\r\nUID:e\r\nSTATUS:CANCELLED\r\nSUMMARY:batal\r\nEND:VEVENT\r\n\
        END:VCALENDAR\r\n";
    assert_eq!(EventFormat::of(text), EventFormat::Ics);
    let parsed = read_as(EventFormat::Ics, text);
    assert_eq!(parsed.bad, []);
    let found: Vec<_> = parsed
        .events
        .iter()
        .map(|e| (e.name.as_str(), e.category, e.from_ms - EVE, e.to_ms - e.from_ms))
        .collect();
    assert_eq!(
        found,
        [
            ("Penutupan, paket 1", EventCategory::Tender, 8 * HOUR_MS, 0),
            ("Cuti bersama", EventCategory::Holiday, 0, DAY_MS),
            ("x", EventCategory::Tender, 9 * HOUR_MS, 2 * HOUR_MS),
            ("y", EventCategory::Tender, 10 * HOUR_MS, 2 * HOUR_MS),
        ]
    );
    assert_eq!(parsed.events[0].uid, "a@spse");
}

#[test]
fn what_is_wrong_with_icalendar_is_named_by_its_line() {
    let event = |lines: &str| format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n");
    for (text, line, reason) in [
        (event("SUMMARY:a"), 2, "no DTSTART"),
        (event("DTSTART:20261224"), 2, "no SUMMARY"),
        (event("SUMMARY:a\nDTSTART:24-12-2026"), 4, "no date or time"),
        (event("SUMMARY:a\nDTSTART:20261350"), 4, "no date or time"),
        (event("SUMMARY:a\nDTSTART;TZID=Mars/Base:20261224T100000"), 4, "time zone"),
        (event("SUMMARY:a\nDTSTART:20261224\nRRULE:FREQ=WEEKLY"), 5, "repeats"),
        (event("SUMMARY:a\nDTSTART:20261224\nDTEND:20261220"), 4, "ends before"),
        (event("SUMMARY:a\nDTSTART:20261224\nDURATION:2 jam"), 5, "no duration"),
        (event("SUMMARY:a\nDTSTART:20261224\nrusak"), 5, "NAME:VALUE"),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:a\n".to_owned(), 2, "no END"),
        ("BEGIN:VCALENDAR\nEND:VCALENDAR".to_owned(), 1, "no event"),
    ] {
        let parsed = read_as(EventFormat::Ics, &text);
        assert_eq!((parsed.events.len(), parsed.bad.len()), (0, 1), "{text}");
        assert_eq!(parsed.bad[0].line, line, "{text}: {}", parsed.bad[0].reason);
        assert!(parsed.bad[0].reason.contains(reason), "{text}: {}", parsed.bad[0].reason);
    }
}

#[test]
fn csv_takes_good_rows_and_names_the_others() {
    let text = "nama;mulai;selesai;kategori\n\
        Cuti bersama;2026-12-24;2026-12-25;libur\n\
        Paket 7;2026-12-24 14:00;;\n\
        ;2026-12-24;;\n\
        Paket 8;besok;;\n\
        Paket 9;2026-12-24;;pesta\n\
        Paket 10;2026-12-24T07:00:00+07:00;;tender\n";
    assert_eq!(EventFormat::of(text), EventFormat::Csv);
    let parsed = read_as(EventFormat::Csv, text);
    let found: Vec<_> = parsed
        .events
        .iter()
        .map(|e| (e.name.as_str(), e.category, e.from_ms - EVE, e.to_ms - e.from_ms))
        .collect();
    assert_eq!(
        found,
        [
            ("Cuti bersama", EventCategory::Holiday, 0, 2 * DAY_MS),
            ("Paket 7", EventCategory::Tender, 14 * HOUR_MS, 0),
            ("Paket 10", EventCategory::Tender, 7 * HOUR_MS, 0),
        ]
    );
    let lines: Vec<u64> = parsed.bad.iter().map(|bad| bad.line).collect();
    assert_eq!(lines, [4, 5, 6]);
    assert_eq!(read_as(EventFormat::Csv, "judul,tanggal\na,b\n").bad[0].line, 1);
    assert_eq!(read_as(EventFormat::Csv, "").bad.len(), 1);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(BEGIN:VEVENT\n|END:VEVENT\n|SUMMARY;X=\"|DTSTART:|[0-9T]{0,16}Z?|[,;:\"\\\\\n ]|\\PC){0,40}") {
        for format in [EventFormat::Ics, EventFormat::Csv] {
            let parsed = read_as(format, &text);
            prop_assert!(!parsed.events.is_empty() || !parsed.bad.is_empty() || text.contains("CANCELLED"));
        }
    }
}
