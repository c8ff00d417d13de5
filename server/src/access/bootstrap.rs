//! The first start: makes the first user and leaves its password where only the owner of the process can read it.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::{Role, hash_password, hash_secret, new_id, new_password, new_secret};
use crate::records::tokens::{self, ApiToken};
use crate::records::users::{self, User};
use crate::records::{Records, RecordsError, audit};
use crate::time::Millis;

/// What `first-run.json` holds.
#[derive(Debug, Clone, Serialize)]
pub struct FirstRun {
    /// Address of the console.
    pub url: String,
    /// Name to sign in with.
    pub user: String,
    /// Password.
    pub password: String,
    /// API token of the same user.
    pub api_token: String,
}

/// File in the data folder that the first start leaves behind.
pub const FIRST_RUN_FILE: &str = "first-run.json";

/// Makes the first user if there is none yet. The file is written before the user is, so that a crash between the
/// two leaves no user whose password nobody knows.
///
/// # Errors
/// If the records or the file cannot be written.
pub fn ensure_first_user(
    records: &Records,
    data_dir: &Path,
    url: &str,
    now_ms: Millis,
) -> anyhow::Result<Option<FirstRun>> {
    if records.transaction(|db| users::count(db))? > 0 {
        return Ok(None);
    }
    let first = FirstRun {
        url: url.to_owned(),
        user: "admin".to_owned(),
        password: new_password(),
        api_token: new_secret("api"),
    };
    write_private(&data_dir.join(FIRST_RUN_FILE), &serde_json::to_vec_pretty(&first)?)?;
    let hash = hash_password(&first.password)?;
    records.transaction(|db| {
        let user = User {
            id: new_id(),
            username: first.user.clone(),
            display_name: "Administrator Sistem".to_owned(),
            roles: vec![Role::AdministratorSistem],
            disabled_at_ms: None,
        };
        users::insert(db, &user, &hash, now_ms)?;
        let token = ApiToken {
            id: new_id(),
            user_id: user.id,
            name: FIRST_RUN_FILE.to_owned(),
            created_at_ms: now_ms,
            expires_at_ms: None,
        };
        tokens::insert_api_token(db, &token, &hash_secret(&first.api_token))?;
        audit::add(db, now_ms, "siaga", "user.create", &first.user, "first start")?;
        Ok::<_, RecordsError>(())
    })?;
    Ok(Some(first))
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .with_context(|| format!("cannot create {}", temporary.display()))?;
    file.write_all(content)
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {}", temporary.display()))?;
    std::fs::rename(&temporary, path).with_context(|| format!("cannot put {} in place", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_first_start_makes_one_user_and_the_second_none() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::in_memory().unwrap();
        let first = ensure_first_user(&records, folder.path(), "http://x", 1).unwrap().unwrap();
        assert!(ensure_first_user(&records, folder.path(), "http://x", 2).unwrap().is_none());
        let file = folder.path().join(FIRST_RUN_FILE);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let hash = hash_secret(&first.api_token);
        let user = records.transaction(|db| tokens::api_token_user(db, &hash, 3)).unwrap().unwrap();
        assert_eq!(user.username, "admin");
    }
}
