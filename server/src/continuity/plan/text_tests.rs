//! Each thing that a plan can have wrong, with the line at which it is reported.

use super::super::Undo;
use super::*;

const GOOD: &str = r#"id = "coba"
name = "Uji coba"
service = "SPSE"
scenario = "Satu server hilang"
kind = "failover"
rto = "30s"

[people]
coordinator = "Koordinator Kelangsungan Layanan"

[schedule]
cron = "0 9 1 * *"

[[blackout]]
name = "malam"
cron = "0 22 * * *"
lasts = "8h"

[[steady_state]]
name = "hidup"
http = { url = "http://127.0.0.1:1/" }

[[probe]]
name = "depan"
url = "http://127.0.0.1:1/"

[[step]]
id = "matikan"
name = "Matikan"
action = "stop"
timeout = "10s"
undo = true
"#;

fn problems(text: &str) -> Vec<String> {
    Plan::read("p.toml", text).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_plan_has_its_defaults() {
    let plan = Plan::read("p.toml", GOOD).unwrap();
    assert_eq!(plan.probes[0].interval, Duration::from_millis(100));
    assert_eq!(plan.settle, Duration::from_secs(30));
    assert_eq!(plan.time_zone.iana_name(), Some("Asia/Jakarta"));
    assert_eq!(plan.steps[0].undo, Undo::ByAgent);
}

#[test]
fn a_plan_names_who_approves_it_and_what_holds_it_back() {
    let held = "[approval]\nroles = [\"ketua_lpse\", \"pengelola_risiko\"]\n[[blackout]]\nname = \"Tenggat\"\n\
                events = [\"tender\", \"holiday\"]\nbefore = \"2days\"\n[[blackout]]\nname = \"Insiden\"\n\
                incidents = \"high\"\n[schedule]";
    let plan = Plan::read("p.toml", &GOOD.replace("[schedule]", held)).unwrap();
    let approval = plan.approval.unwrap();
    assert_eq!((approval.approvers, approval.roles.len()), (2, 2), "production needs two people");
    let BlackoutTime::Events { categories, before, after } = &plan.blackouts[0].when else { panic!() };
    assert_eq!((categories.len(), *before, *after), (2, Duration::from_secs(2 * 86_400), Duration::ZERO));
    assert!(matches!(plan.blackouts[1].when, BlackoutTime::HighIncidents));
}

#[test]
fn the_shipped_plan_is_good() {
    let plan = Plan::read("lab.toml", include_str!("../../../../deploy/plans/lab.toml")).unwrap();
    assert!(
        plan.steps
            .iter()
            .all(|step| step.undo == Undo::ByAgent && step.order().is_some_and(|(host, _)| host.is_none()))
    );
}

#[test]
fn a_step_that_names_no_host_is_warned_of_at_its_place_and_one_that_names_it_is_not() {
    let found = Plan::read("p.toml", GOOD).unwrap().warnings;
    let line = 1 + GOOD.lines().position(|line| line == "[[step]]").unwrap();
    assert_eq!((found.len(), found[0].line, found[0].field.as_str()), (1, line, "step[0].host"), "{found:?}");
    assert!(found[0].reason.contains("any enrolled host that offers stop"), "{}", found[0].reason);
    let named = GOOD.replace("action = ", "host = \"db-01\"\naction = ");
    assert!(Plan::read("p.toml", &named).unwrap().warnings.is_empty());
}

#[test]
fn the_start_of_a_first_system_names_the_host_of_every_step_of_the_shipped_plan() {
    // `deploy/run-local.sh` puts the enrolled name of this machine where the shipped plan has this line.
    let shipped = include_str!("../../../../deploy/plans/lab.toml");
    let place = |line: &&str| line.starts_with("# host = ");
    assert_eq!(shipped.lines().filter(place).count(), shipped.matches("[[step]]").count());
    let script = include_str!("../../../../deploy/run-local.sh");
    assert!(script.contains("s/^# host = .*/host = "));
}

#[test]
fn each_thing_that_is_wrong_is_named_with_its_line_and_field() {
    for (good, bad, wanted) in [
        ("id = \"coba\"", "id = \"Coba 1\"", "p.toml:1:6: id: \"Coba 1\" is not"),
        ("name = \"Uji coba\"", "name = \" \"", "p.toml:2:8: name: is empty"),
        ("kind = \"failover\"", "kind = \"magic\"", "p.toml:5:8: kind: unknown variant `magic`"),
        ("rto = \"30s\"", "rto = \"0s\"", "p.toml:6:7: rto: a recovery time of zero"),
        ("rto = \"30s\"", "rto = 30", "p.toml:6:7: rto: invalid type"),
        ("rto = \"30s\"", "rto = \"30s\"\nrtpo = 1", "p.toml:7:1: rtpo: unknown field"),
        (
            "rto = \"30s\"",
            "rto = \"30s\"\ntime_zone = \"WIB\"",
            "p.toml:7:13: time_zone: \"WIB\" is not an IANA",
        ),
        ("cron = \"0 9 1 * *\"", "cron = \"0 9 1 *\"", "p.toml:12:8: schedule.cron: no cron rule"),
        ("cron = \"0 9 1 * *\"", "cron = \"0 9 31 2 *\"", "p.toml:12:8: schedule.cron: no date fits"),
        ("cron = \"0 9 1 * *\"", "cron = \"0 23 1 * *\"", "p.toml:12:8: schedule.cron: every date"),
        ("lasts = \"8h\"", "", "p.toml:14:1: blackout[0]: state either from and to"),
        (
            "cron = \"0 22 * * *\"\nlasts = \"8h\"",
            "from = \"2026-12-26\"\nto = \"2026-12-25\"",
            "p.toml:17:6: blackout[0].to: does not lie after from",
        ),
        (
            "cron = \"0 22 * * *\"\nlasts = \"8h\"",
            "from = \"24/12\"\nto = \"2026-12-25\"",
            "p.toml:16:8: blackout[0].from: \"24/12\" is no date",
        ),
        (
            "cron = \"0 22 * * *\"\nlasts = \"8h\"",
            "events = []",
            "p.toml:16:10: blackout[0].events: is empty",
        ),
        (
            "cron = \"0 22 * * *\"\nlasts = \"8h\"",
            "events = [\"tenders\"]",
            "p.toml:16:11: blackout[0].events[0]: unknown variant `tenders`, expected one of `holiday`",
        ),
        (
            "lasts = \"8h\"",
            "lasts = \"8h\"\nbefore = \"1d\"",
            "p.toml:18:10: blackout[0].before: stands beside",
        ),
        (
            "cron = \"0 22 * * *\"\nlasts = \"8h\"",
            "incidents = \"low\"",
            "p.toml:16:13: blackout[0].incidents: unknown variant `low`",
        ),
        ("[schedule]", "[approval]\n[schedule]", "p.toml:11:1: approval.roles: missing"),
        (
            "[schedule]",
            "[approval]\nroles = [\"ketua\"]\n[schedule]",
            "p.toml:12:10: approval.roles[0]: \"ketua\" is no role; one of ketua_lpse,",
        ),
        (
            "[schedule]",
            "[approval]\nroles = [\"ketua_lpse\", \"helpdesk\"]\n[schedule]",
            "p.toml:12:24: approval.roles[1]: helpdesk may not approve drills; one of ketua_lpse,",
        ),
        (
            "[schedule]",
            "[approval]\nroles = [\"ketua_lpse\"]\napprovers = 0\n[schedule]",
            "p.toml:13:13: approval.approvers: is not 1 to 10",
        ),
        (
            "[schedule]",
            "[approval]\nroles = [\"ketua_lpse\"]\nvalid = \"1s\"\n[schedule]",
            "p.toml:13:9: approval.valid: 1s does not lie",
        ),
        ("http = { url = \"http://127.0.0.1:1/\" }", "", "p.toml:19:1: steady_state[0]: state exactly one"),
        (
            "http = { url = \"http:",
            "http = { url = \"ftp:",
            "p.toml:21:16: steady_state[0].http.url: \"ftp\" is",
        ),
        (
            "http = { url = \"http://127.0.0.1:1/\" }",
            "promql = { query = \"up{\", is = \">= 1\" }",
            "p.toml:21:20: steady_state[0].promql.query: no PromQL",
        ),
        (
            "http = { url = \"http://127.0.0.1:1/\" }",
            "promql = { query = \"up\", is = \"good\" }",
            "p.toml:21:31: steady_state[0].promql.is: no comparison",
        ),
        (
            "name = \"depan\"",
            "name = \"depan\"\ninterval = \"1ms\"",
            "p.toml:25:12: probe[0].interval: 1ms does not lie",
        ),
        ("undo = true", "", "p.toml:27:1: step[0].undo: missing"),
        ("undo = true", "undo = false", "p.toml:32:8: step[0].undo: missing"),
        ("undo = true", "undo = true\nno_undo = \"x\"", "p.toml:33:11: step[0].no_undo: contradicts"),
        ("timeout = \"10s\"", "timeout = \"0s\"", "p.toml:31:11: step[0].timeout: 0ns does not lie"),
        (
            "undo = true",
            "undo = true\n[[step]]\nid = \"matikan\"\nname = \"x\"\naction = \"a\"\ntimeout = \"1s\"\nundo = true",
            "p.toml:34:6: step[1].id: \"matikan\" is the id of an earlier step",
        ),
    ] {
        assert!(GOOD.contains(good), "{good}");
        let found = problems(&GOOD.replacen(good, bad, 1));
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
        assert!(found[0].starts_with(wanted), "{} instead of {wanted}", found[0]);
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once_also_of_shape() {
    let wrong = GOOD
        .replace("rto = \"30s\"", "rto = 30\nserivce = 1\nfoo = 2")
        .replace("service = \"SPSE\"\n", "")
        .replace("[[step]]", "[[stepp]]")
        .replace("timeout = \"10s\"", "timeout = \"soon\"")
        .replace("action = \"stop\"\n", "")
        .replace("cron = \"0 9 1 * *\"", "cron = \"0 9 1 *\"");
    let found = problems(&wrong);
    let wanted = [
        "p.toml:5:7: rto: invalid type: integer `30`",
        "p.toml:6:1: serivce: unknown field `serivce`",
        "p.toml:6:11: serivce: invalid type",
        "p.toml:7:1: foo: unknown field `foo`",
        "p.toml:13:8: schedule.cron: no cron rule",
        "p.toml:28:3: stepp: unknown field `stepp`",
        "stepp[0]: state exactly one of action (of an agent) and confirm",
        "p.toml:31:11: stepp[0].timeout: ",
    ];
    for wanted in wanted {
        assert!(found.iter().any(|problem| problem.contains(wanted)), "{wanted} in {found:#?}");
    }
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
    assert!(found.iter().any(|problem| problem.ends_with("did you mean `step`?")), "{found:#?}");
    assert!(!found.iter().any(|problem| problem.contains("`foo`") && problem.contains("did you mean")));
}

#[test]
fn steps_come_in_the_order_in_which_they_wait_and_those_that_wait_for_each_other_are_told() {
    let step = |id: &str, after: &str| {
        format!(
            "[[step]]\nid = \"{id}\"\nname = \"{id}\"\naction = \"x\"\ntimeout = \"9s\"\nundo = true\n{after}\n"
        )
    };
    let plan = |steps: &[(&str, &str)]| {
        let head = GOOD.split("[[step]]").next().unwrap().to_owned();
        steps.iter().fold(head, |text, (id, after)| text + &step(id, after))
    };
    let waves = |steps: &[(&str, &str)]| Plan::read("p.toml", &plan(steps)).unwrap().waves;
    assert_eq!(waves(&[("a", ""), ("b", ""), ("c", "")]), [[0], [1], [2]], "one after another");
    let diamond = [("a", ""), ("b", ""), ("c", "after = [\"a\"]"), ("d", "after = [\"b\", \"c\"]")];
    assert_eq!(waves(&diamond), [vec![0], vec![1, 2], vec![3]]);
    assert_eq!(waves(&[("a", "after = [\"b\"]"), ("b", "after = []")]), [[1], [0]], "also backwards");
    for (steps, wanted) in [
        (
            [("a", "after = [\"b\"]"), ("b", "after = [\"a\"]")],
            "step[0].after: these steps wait for each other: a -> b -> a",
        ),
        (
            [("a", "after = [\"b\"]"), ("b", "")],
            "step[0].after: these steps wait for each other: a -> b -> a",
        ),
        ([("a", ""), ("b", "after = [\"b\"]")], "step[1].after: these steps wait for each other: b -> b"),
        ([("a", ""), ("b", "after = [\"z\"]")], "step[1].after[0]: \"z\" is no step of this plan"),
    ] {
        let found = problems(&plan(&steps));
        let line = |problem: &String| {
            problem.split(':').nth(1).is_some_and(|line| line.parse::<usize>().is_ok_and(|line| line > 25))
        };
        assert!(found.iter().any(|problem| problem.contains(wanted) && line(problem)), "{wanted}: {found:?}");
    }
}

#[test]
fn people_and_kinds_of_exercise_have_rules_of_their_own() {
    let person = GOOD.replace("action = \"stop\"", "confirm = \"Hubungi PLN\"").replace("undo = true\n", "");
    let plan = Plan::read("p.toml", &person).unwrap();
    assert_eq!(plan.steps[0].question().map(String::as_str), Some("Hubungi PLN"));
    assert!(plan.warnings.is_empty() && plan.steps[0].order().is_none());
    let bare = person.replace("failover", "tabletop");
    let bare = format!(
        "{}[[step]]{}",
        bare.split("[[steady_state]]").next().unwrap(),
        bare.split("[[step]]").nth(1).unwrap()
    );
    assert!(Plan::read("p.toml", &bare).is_ok(), "a desk review needs neither probes nor a steady state");
    for (text, wanted) in [
        (GOOD.replace("failover", "tabletop"), "step[0].action: a tabletop exercise touches nothing"),
        (person.replace("confirm", "retries = 1\nconfirm"), "step[0].retries: stands beside action alone"),
        (GOOD.replace("undo = true", "undo = true\nretries = 9"), "step[0].retries: more than 5"),
        (
            GOOD.replace("[[step]]", "[marker]\nname = \"depan\"\n[[step]]"),
            "marker.name: \"depan\" is the name of a probe",
        ),
        (
            GOOD.replace(
                "[[step]]",
                "[marker]\nname = \"m\"\npostgres = { address = \"host=a password=x\" }\n[[step]]",
            ),
            "marker.postgres.address: holds a password",
        ),
    ] {
        let found = problems(&text);
        assert!(found.iter().any(|problem| problem.contains(wanted)), "{wanted}: {found:?}");
    }
    let promised = Plan::read("p.toml", &GOOD.replace("rto =", "rpo = \"5s\"\nrto =")).unwrap().warnings;
    assert!(promised.iter().any(|problem| problem.field == "rpo"), "{promised:?}");
}

#[test]
fn the_shipped_plans_of_databases_are_good_but_for_what_a_site_fills_in() {
    for (name, text) in [
        ("postgresql.toml", include_str!("../../../../deploy/plans/postgresql.toml")),
        ("restore.toml", include_str!("../../../../deploy/plans/restore.toml")),
    ] {
        let plan = Plan::read(name, text).unwrap();
        assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
        let said = |name: &str| plan.say("en", name) != name;
        assert!(plan.steps.iter().all(|step| said(&step.name)) && said(&plan.scenario), "English is missing");
    }
}

#[test]
fn missing_parts_are_all_listed() {
    let head = GOOD.split("[[steady_state]]").next().unwrap().replace("30s", "0s");
    let found = problems(&head);
    for wanted in ["rto: ", "steady_state: at least one", "probe: at least one", "step: at least one"] {
        assert!(found.iter().any(|problem| problem.contains(wanted)), "{wanted} in {found:?}");
    }
    assert_eq!(found.len(), 4);
}

#[test]
fn what_is_no_toml_is_refused_with_its_line() {
    assert!(problems("id = \"a\"\nname = \n")[0].starts_with("p.toml:2:"));
    assert_eq!(problems("").len(), 10, "every field that is needed");
    assert_eq!(problems("a = \nb = \n").len(), 2);
}

#[test]
fn a_plan_speaks_english_where_it_says_how() {
    let text = format!("{GOOD}\n[english]\n\"Matikan\" = \"Stop it\"\n\"hidup\" = \"alive\"\n");
    let plan = Plan::read("p.toml", &text).unwrap();
    assert_eq!((plan.say("en", "Matikan"), plan.say("id", "Matikan")), ("Stop it", "Matikan"));
    assert_eq!(plan.say("en", "SPSE"), "SPSE");
    let wrong = format!("{GOOD}\n[english]\n\"Hidup.\" = \"x\"\n\"hidup\" = \" \"\n");
    let first = GOOD.lines().count() + 3;
    assert_eq!(
        problems(&wrong),
        [
            format!("p.toml:{first}:1: english: \"Hidup.\" is no text of this plan"),
            format!(
                "p.toml:{}:1: english: the English of \"hidup\" is empty or longer than 500 characters",
                first + 1
            ),
        ]
    );
}

#[test]
fn what_only_follows_from_another_error_is_not_told() {
    let english = "\n[english]\n\"depan\" = \"front\"\n\"hidup\" = \"alive\"\n\"Matikan\" = \"Stop it\"\n";
    let text = format!("{GOOD}{english}");
    assert_eq!(problems(&text), [""; 0]);
    for (good, bad, wanted) in [
        ("name = \"depan\"\nurl = \"http:", "name = \"depan\"\nurl = \"ftp:", "probe[0].url: "),
        ("name = \"depan\"", "nama = \"depan\"", "probe[0].nama: unknown field"),
        ("[[probe]]\nname = \"depan\"", "[[probe]]\nname = 7", "probe[0].name: invalid type"),
        ("http = { url = \"http:", "http = { url = \"ftp:", "steady_state[0].http.url: "),
        ("undo = true", "undo = 7", "step[0].undo: "),
    ] {
        assert!(text.contains(good), "{good}");
        let found = problems(&text.replacen(good, bad, 1));
        assert!(found.len() == 1 && found[0].contains(wanted), "{bad}: {found:#?}");
    }
}

#[test]
fn every_text_of_the_shipped_plan_has_its_english() {
    let text = include_str!("../../../../deploy/plans/lab.toml");
    let raw: PlanText = toml::from_str(text).unwrap();
    // What is the same in both languages needs none.
    let without: Vec<_> =
        raw.texts().filter(|text| *text != "Helpdesk" && !raw.english.contains_key(*text)).collect();
    assert!(without.is_empty(), "{without:?}");
}
