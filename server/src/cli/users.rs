//! `siaga-server user`: users from the command line, for the first steps and for lost passwords.

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use super::ConfigFile;
use crate::access::manage;
use crate::access::{Role, hash_password, new_id, new_password};
use crate::records::users::{self, User};
use crate::records::{RecordsError, audit};
use crate::time::now_ms;

#[derive(Debug, Args)]
pub(super) struct UserArgs {
    #[command(flatten)]
    config: ConfigFile,
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Add a user and print the password.
    Add {
        /// Name to sign in with.
        username: String,
        /// Name for people.
        #[arg(long)]
        display_name: Option<String>,
        /// Role; may be given several times.
        #[arg(long = "role", value_parser = parse_role)]
        roles: Vec<Role>,
    },
    /// List users and roles.
    List,
    /// Give a user a new password, print it and end the sessions.
    ResetPassword {
        /// Name to sign in with.
        username: String,
    },
    /// Let a user sign in no more.
    Disable {
        /// Name to sign in with.
        username: String,
    },
}

fn parse_role(code: &str) -> Result<Role, String> {
    Role::from_code(code).ok_or_else(|| format!("not one of {}", Role::ALL.map(Role::code).join(", ")))
}

#[expect(clippy::print_stdout, reason = "this is what the commands are asked for")]
pub(super) fn run(args: UserArgs) -> anyhow::Result<()> {
    let records = args.config.records()?;
    let now = now_ms();
    match args.command {
        UserCommand::Add { username, display_name, roles } => {
            manage::check_username(&username)?;
            let password = new_password();
            let hash = hash_password(&password)?;
            let user = User {
                id: new_id(),
                display_name: display_name.unwrap_or_else(|| username.clone()),
                username,
                roles,
                disabled_at_ms: None,
            };
            records
                .transaction(|db| {
                    users::insert(db, &user, &hash, now)?;
                    let roles = manage::role_codes(&user.roles);
                    audit::add(db, now, "siaga:cli", "user.create", &user.username, &roles)
                })
                .with_context(|| format!("cannot add user {}", user.username))?;
            println!("{password}");
        }
        UserCommand::List => {
            for user in records.transaction(|db| users::list(db))? {
                let state = if user.disabled_at_ms.is_some() { " (disabled)" } else { "" };
                println!("{}\t{}{state}", user.username, manage::role_codes(&user.roles));
            }
        }
        UserCommand::ResetPassword { username } => {
            let password = new_password();
            let hash = hash_password(&password)?;
            change(&records, &username, "user.password", |db, user| {
                users::set_password(db, &user.id, &hash)
            })?;
            println!("{password}");
        }
        UserCommand::Disable { username } => {
            change(&records, &username, "user.disable", |db, user| {
                users::set_disabled(db, &user.id, Some(now))
            })?;
        }
    }
    Ok(())
}

fn change(
    records: &crate::records::Records,
    username: &str,
    action: &str,
    work: impl FnOnce(&crate::records::rusqlite::Connection, &User) -> Result<(), RecordsError>,
) -> anyhow::Result<()> {
    let found = records.transaction(|db| {
        let Some((user, _)) = users::by_username(db, username)? else { return Ok(false) };
        work(db, &user)?;
        audit::add(db, now_ms(), "siaga:cli", action, username, "")?;
        Ok::<_, RecordsError>(true)
    })?;
    if !found {
        bail!("user {username} does not exist");
    }
    Ok(())
}
