//! `siaga-server user`: users from the command line, for the first steps and for lost passwords.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use super::{ConfigFile, out};
use crate::access::manage::{self, ManageError};
use crate::access::{Role, hash_password, new_id, new_password};
use crate::records::audit;
use crate::records::users::{self, User};
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
        #[arg(long = "role", required = true, value_parser = role_parser())]
        roles: Vec<Role>,
    },
    /// List users and roles.
    List,
    /// Give a user a new password, print it, and revoke all sessions and API tokens.
    ResetPassword {
        /// Name to sign in with.
        username: String,
    },
    /// Let a user sign in no more and revoke all sessions and API tokens; the last one who may manage users cannot be
    /// disabled.
    Disable {
        /// Name to sign in with.
        username: String,
    },
    /// Let a disabled user sign in again.
    Enable {
        /// Name to sign in with.
        username: String,
    },
}

/// Takes the codes of roles, and lists them in the help.
fn role_parser() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::code))
        .try_map(|code| Role::from_code(&code).ok_or_else(|| format!("{code} is no role")))
}

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
            records.transaction(|db| {
                if users::by_username(db, &user.username)?.is_some() {
                    return Err(ManageError::Exists(user.username.clone()));
                }
                users::insert(db, &user, &hash, now)?;
                let roles = manage::role_codes(&user.roles);
                Ok(audit::add(db, now, "siaga:cli", "user.create", &user.username, &roles)?)
            })?;
            out::line(&password)?;
        }
        UserCommand::List => {
            for user in records.transaction(|db| users::list(db))? {
                let state = if user.disabled_at_ms.is_some() { " (disabled)" } else { "" };
                out::line(format_args!("{}\t{}{state}", user.username, manage::role_codes(&user.roles)))?;
            }
        }
        UserCommand::ResetPassword { username } => {
            let password = new_password();
            let hash = hash_password(&password)?;
            change(&records, &username, "user.password", |db, user| {
                if user.disabled_at_ms.is_some() {
                    tracing::warn!("user {username} is disabled; `user enable` lets the user sign in again");
                }
                users::set_password(db, &user.id, &hash)?;
                Ok(users::revoke_all(db, &user.id)?)
            })?;
            out::line(&password)?;
        }
        UserCommand::Disable { username } => {
            change(&records, &username, "user.disable", |db, user| {
                users::set_disabled(db, &user.id, Some(now))?;
                manage::check_manager_left(db)
            })?;
        }
        UserCommand::Enable { username } => {
            change(&records, &username, "user.enable", |db, user| {
                Ok(users::set_disabled(db, &user.id, None)?)
            })?;
        }
    }
    Ok(())
}

/// Changes a user and notes it, or changes nothing.
fn change(
    records: &crate::records::Records,
    username: &str,
    action: &str,
    work: impl FnOnce(&crate::records::rusqlite::Connection, &User) -> Result<(), ManageError>,
) -> Result<(), ManageError> {
    records.transaction(|db| {
        let found = users::by_username(db, username)?;
        let (user, _) = found.ok_or_else(|| ManageError::UnknownUser(username.to_owned()))?;
        work(db, &user)?;
        Ok(audit::add(db, now_ms(), "siaga:cli", action, username, "")?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Records;

    #[test]
    fn the_last_who_may_manage_users_stays_and_another_may_go_and_come() {
        let records = Records::in_memory().unwrap();
        let folder = tempfile::tempdir().unwrap();
        crate::access::ensure_first_user(&records, folder.path(), "http://x", 1).unwrap();
        let disable = |name: &str| {
            change(&records, name, "user.disable", |db, user| {
                users::set_disabled(db, &user.id, Some(2))?;
                manage::check_manager_left(db)
            })
        };
        assert!(matches!(disable("admin"), Err(ManageError::NoManagerLeft)));
        assert!(matches!(disable("nobody"), Err(ManageError::UnknownUser(_))));
        let (admin, _) = records.transaction(|db| users::by_username(db, "admin")).unwrap().unwrap();
        assert_eq!(admin.disabled_at_ms, None, "a refused change leaves nothing behind");
    }
}
