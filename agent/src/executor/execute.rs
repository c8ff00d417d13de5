//! Runs one command of an action: no shell, its own process group, a time limit, and the end of its output.
//!
//! Invariants: when the time is up, the whole group is killed; a command that leaves a daemon behind is over when
//! the command itself is; at most [`OUTPUT_BYTES`] of output are kept.

use std::collections::VecDeque;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use siaga_protocol::orders::Outcome;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout, timeout_at};

use super::leftovers::MARK;
use crate::actions::FAILED;
use crate::config::Arguments;

/// Output that is kept, counted from its end.
pub(super) const OUTPUT_BYTES: usize = 4096;
/// After the command has ended, what it wrote is awaited no longer than this: a daemon may hold the pipe open.
const DRAIN: Duration = Duration::from_millis(200);
/// What of the executor's environment a command gets.
const ENVIRONMENT: [&str; 3] = ["PATH", "HOME", "LANG"];

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Execution {
    /// Its outcome.
    pub(super) outcome: Outcome,
    /// Exit status or reason, one line.
    pub(super) message: String,
    /// End of its output.
    pub(super) output: String,
    /// Whether it was started at all.
    pub(super) started: bool,
}

impl Execution {
    fn not_started(message: String) -> Self {
        Self { outcome: Outcome::Failed, message, output: String::new(), started: false }
    }
}

/// Runs a command, as `user` if one is given, for at most `limit`, with `mark` in its environment. `started` is told its
/// first process at once.
pub(super) async fn execute(
    arguments: &Arguments,
    user: Option<&str>,
    limit: Duration,
    mark: &str,
    started: impl FnOnce(Pid),
) -> Execution {
    let mut command = Command::new(&arguments.program);
    command
        .args(&arguments.arguments)
        .current_dir("/")
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    command.env_clear();
    command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.env(MARK, mark);
    if let Some(user) = user
        && let Err(reason) = become_user(&mut command, user)
    {
        return Execution::not_started(reason);
    }
    match start(command) {
        Ok((child, output)) => {
            let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
            // From here on the group is killed when the executor ends.
            let group = Group(group);
            if let Some(pid) = group.0 {
                started(pid);
            }
            watch(child, group, output, limit).await
        }
        Err(error) => Execution::not_started(format!("cannot start {}: {error}", arguments.program)),
    }
}

/// One pipe for both outputs, so that their order stays.
fn start(mut command: Command) -> std::io::Result<(Child, pipe::Receiver)> {
    let (reader, writer) = std::io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let output = pipe::Receiver::from_owned_fd(reader.into())?;
    // The command holds the writing end; dropped here, the pipe ends when the child does.
    Ok((command.spawn()?, output))
}

/// Kills the group of a command that was not waited for, when the executor ends.
struct Group(Option<Pid>);

impl Group {
    fn kill(&self) {
        // The group may have ended in this moment, which is what is wanted.
        let _ = self.0.map(|pid| kill_process_group(pid, Signal::KILL));
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn watch(mut child: Child, mut group: Group, mut output: pipe::Receiver, limit: Duration) -> Execution {
    let deadline = Instant::now() + limit;
    let mut tail = Tail::default();
    let waited = {
        let follow = async { while tail.take(&mut output).await {} };
        tokio::select! {
            waited = timeout_at(deadline, child.wait()) => Some(waited),
            // The output ends first where the command closes it early.
            () = follow => None,
        }
    };
    let waited = match waited {
        Some(waited) => waited,
        None => timeout_at(deadline, child.wait()).await,
    };
    let (outcome, message) = match waited {
        Ok(Ok(status)) => {
            group.0 = None; // what it left running is meant to stay
            describe(status)
        }
        Ok(Err(error)) => (Outcome::Failed, format!("cannot wait for the command: {error}")),
        Err(_) => {
            group.kill();
            drop(timeout(DRAIN, child.wait()).await);
            group.0 = None;
            (Outcome::TimedOut, format!("killed after {} s", limit.as_secs()))
        }
    };
    drop(timeout(DRAIN, async { while tail.take(&mut output).await {} }).await);
    let output = tail.into_text();
    // A built-in action says in its last line why it failed, which tells more than its status.
    let said = output.lines().next_back().and_then(|line| line.strip_prefix(FAILED));
    let message = said.filter(|_| outcome == Outcome::Failed).map_or(message, ToOwned::to_owned);
    Execution { outcome, message, output, started: true }
}

fn describe(status: ExitStatus) -> (Outcome, String) {
    let outcome = if status.success() { Outcome::Succeeded } else { Outcome::Failed };
    (outcome, status.to_string())
}

#[derive(Default)]
struct Tail(VecDeque<u8>);

impl Tail {
    /// Takes up what is there; false at the end.
    async fn take(&mut self, output: &mut pipe::Receiver) -> bool {
        let mut buffer = [0; 1024];
        match output.read(&mut buffer).await {
            Ok(0) | Err(_) => false,
            Ok(read) => {
                self.0.extend(&buffer[..read]);
                let surplus = self.0.len().saturating_sub(OUTPUT_BYTES);
                self.0.drain(..surplus);
                true
            }
        }
    }

    fn into_text(self) -> String {
        let bytes: Vec<u8> = self.0.into();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn become_user(command: &mut Command, name: &str) -> Result<(), String> {
    let accounts =
        std::fs::read_to_string("/etc/passwd").map_err(|e| format!("cannot read /etc/passwd: {e}"))?;
    let account = find_account(&accounts, name).ok_or_else(|| format!("there is no account {name}"))?;
    let own = rustix::process::getuid();
    if own.as_raw() != account.uid {
        if !own.is_root() {
            return Err(format!("only an executor that runs as root can run a command as {name}"));
        }
        command.uid(account.uid).gid(account.gid);
    }
    command.env("HOME", account.home);
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
struct Account<'a> {
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn find_account<'a>(passwd: &'a str, name: &str) -> Option<Account<'a>> {
    passwd.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        match fields.as_slice() {
            [user, _, uid, gid, _, home, ..] if *user == name => {
                Some(Account { uid: uid.parse().ok()?, gid: gid.parse().ok()?, home })
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(words: &[&str], limit: Duration) -> Execution {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        execute(&Arguments::try_from(words).unwrap(), None, limit, "mark", |_| {}).await
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_command_is_run_without_a_shell_and_its_output_kept() {
        let done = run(&["printf", "%s;", "a b", "$HOME"], LONG).await;
        assert_eq!((done.outcome, done.output.as_str()), (Outcome::Succeeded, "a b;$HOME;"));
    }

    #[tokio::test]
    async fn failure_and_absence_are_told_apart() {
        let failed = run(&["sh", "-c", "echo no >&2; exit 3"], LONG).await;
        assert_eq!((failed.outcome, failed.started, failed.output.as_str()), (Outcome::Failed, true, "no\n"));
        assert!(failed.message.contains('3'), "{}", failed.message);
        let absent = run(&["/nonexistent/program"], LONG).await;
        assert_eq!((absent.outcome, absent.started), (Outcome::Failed, false));
    }

    #[tokio::test]
    async fn only_the_end_of_long_output_is_kept() {
        let done = run(&["sh", "-c", "yes | head -c 100000; printf end"], LONG).await;
        assert_eq!(done.output.len(), OUTPUT_BYTES);
        assert!(done.output.ends_with("y\nend"));
    }

    #[tokio::test]
    async fn when_the_time_is_up_the_whole_group_is_killed() {
        let done = run(&["sh", "-c", "sleep 600 & echo $!; wait"], Duration::from_millis(300)).await;
        assert_eq!(done.outcome, Outcome::TimedOut);
        let child = Pid::from_raw(done.output.trim().parse().unwrap()).unwrap();
        // Killed, it is gone or a zombie that its new parent has not fetched yet.
        let state =
            || std::fs::read_to_string(format!("/proc/{}/stat", child.as_raw_nonzero())).unwrap_or_default();
        while state().contains("(sleep) S") || state().contains("(sleep) R") {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_daemon_that_stays_does_not_hold_up_the_answer() {
        let done = run(&["sh", "-c", "sleep 600 & echo $!"], LONG).await;
        assert_eq!(done.outcome, Outcome::Succeeded);
        let child = Pid::from_raw(done.output.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(child, Signal::KILL).unwrap(); // it was left alive
    }

    #[test]
    fn accounts_are_found_by_their_exact_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:34:www:/var/www:/usr/sbin/nologin\n";
        assert_eq!(find_account(passwd, "www-data"), Some(Account { uid: 33, gid: 34, home: "/var/www" }));
        assert_eq!(find_account(passwd, "www"), None);
    }
}
