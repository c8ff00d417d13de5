//! Takes a host out of service. Not while a drill may have to undo something there: its agent would obey no more.

use crate::app::App;
use crate::continuity::drill_on_host;
use crate::http::ApiError;
use crate::records::drills::Drill;
use crate::records::{RecordsError, audit, hosts};
use crate::time::now_ms;

/// Why a host stays in service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetireError {
    /// No such host is in service.
    #[error("host {0} does not exist")]
    Unknown(String),
    /// A drill has begun a step there.
    #[error(
        "drill {} of plan {} has begun a step there: wait until it has ended, or stop it",
        .0.number, .0.plan_id
    )]
    InDrill(Box<Drill>),
    /// The records cannot be read or written.
    #[error("cannot take the host out of service")]
    Records(#[from] RecordsError),
}

impl From<RetireError> for ApiError {
    fn from(error: RetireError) -> Self {
        match error {
            RetireError::Unknown(host) => Self::not_found(format!("host {host}")),
            RetireError::InDrill(_) => Self::conflict(error.to_string()),
            RetireError::Records(cause) => cause.into(),
        }
    }
}

/// Takes a host out of service in the name of `actor`.
///
/// # Errors
/// See [`RetireError`]; the host is in service as before then.
pub async fn retire(app: &App, instance: &str, actor: &str) -> Result<(), RetireError> {
    let (instance, actor) = (instance.to_owned(), actor.to_owned());
    app.records
        .run(move |db| {
            let host = hosts::by_instance(db, &instance)?.ok_or(RetireError::Unknown(instance))?;
            if let Some(drill) = drill_on_host(db, &host.id)? {
                return Err(RetireError::InDrill(Box::new(drill)));
            }
            hosts::retire(db, &host.id, now_ms())?;
            audit::add(db, now_ms(), &actor, "host.retire", &host.instance, "")?;
            Ok(())
        })
        .await
}
