//! History from elsewhere, and a server that ends and starts again in order.

use std::process::Command;

use siaga_tests::harness::{Server, program};

const QUIET: &str = "[rules]\ndefaults = false\n";

/// Status, standard output and log of an import.
fn import(server: &Server, format: &str, text: &str) -> (i32, String, String) {
    let file = server.folder().join("history.txt");
    std::fs::write(&file, text).unwrap();
    let output = Command::new(program("siaga-server"))
        .args(["import", "--format", format, "--config"])
        .arg(server.config_file())
        .arg(&file)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn days_ago(days: u64) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    now - days * 86_400
}

#[tokio::test]
async fn months_of_history_come_in_and_a_broken_line_costs_only_itself() {
    let server = Server::start(QUIET).await.unwrap();
    let mut text = String::from("# TYPE disk_used gauge\n");
    for day in (1..=100).rev() {
        text += &format!("disk_used{{instance=\"a\"}} {} {}\n", 100 - day, days_ago(day));
    }
    text += "disk_used{instance=\"a\" 5 1\n";
    text += &format!("disk_used{{instance=\"b\"}} 7 {}\n", days_ago(50));
    text += &format!("disk_used{{instance=\"b\"}} 7 {}\n", days_ago(3_000));
    text += "# EOF\n";
    let (status, out, log) = import(&server, "openmetrics", &text);
    assert!(status == 3 && out.contains("samples imported: 101, lines not taken: 2"), "{out} {log}");
    assert!(log.contains("line=102") && log.contains("line=104"), "{log}");
    let kept = server.api.query("count_over_time(disk_used[101d])", None).await.unwrap();
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert_eq!(kept[0]["value"][1], "100");

    let csv = format!("timestamp,metric,instance,value\n{},requests,a,3\nx,requests,a,3\n", days_ago(20));
    let (status, out, log) = import(&server, "csv", &csv);
    assert!(status == 3 && out.contains("samples imported: 1, lines not taken: 1"), "{out} {log}");
    assert!(log.contains("line=3"), "{log}");

    let (status, _, log) = import(&server, "csv", "a,b\n1,2\n");
    assert!(status == 1 && log.contains("header"), "{log}");
}

#[tokio::test]
async fn a_server_ends_cleanly_keeps_its_data_and_is_backed_up_while_it_runs() {
    let mut server = Server::start(QUIET).await.unwrap();
    let (status, out, _) =
        import(&server, "csv", &format!("timestamp,metric,value\n{},kept,4\n", days_ago(9)));
    assert_eq!(status, 0, "{out}");
    let copy = server.folder().join("copy");
    let copy = copy.to_str().unwrap();
    server.command(&["backup", copy]).unwrap();
    assert!(server.command(&["backup", copy]).unwrap_err().to_string().contains("exists already"));

    assert!(server.stop().await.unwrap().success());
    server.launch().await.unwrap();
    assert_eq!(server.api.query("last_over_time(kept[10d])", None).await.unwrap().len(), 1);

    assert!(server.stop().await.unwrap().success());
    std::fs::rename(server.data_dir(), server.folder().join("old")).unwrap();
    server.command(&["restore", copy]).unwrap();
    server.launch().await.unwrap();
    assert_eq!(server.api.query("last_over_time(kept[10d])", None).await.unwrap().len(), 1);
    let second =
        Command::new(program("siaga-server")).args(["serve", "--config"]).arg(server.config_file()).output();
    assert!(!second.unwrap().status.success(), "two servers must not share one folder");
}
