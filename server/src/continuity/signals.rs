//! Tells the incidents which systems a drill did not leave as it found them.

use super::reason::{Reason, say_all};
use crate::app::App;
use crate::records::drills::{self, Drill};

/// Hands over every plan whose newest drill did not find the system restored.
pub(super) async fn sync(app: &App) -> anyhow::Result<()> {
    let found = app.records.run(|db| drills::not_restored(db)).await?;
    for drill in &found {
        tracing::warn!(
            drill.id = drill.id,
            plan = drill.plan_id,
            why = detail(drill, "en"),
            "not restored by a drill"
        );
    }
    Ok(())
}

/// What exactly is not restored, in a language.
fn detail(drill: &Drill, language: &str) -> String {
    let reasons: Vec<Reason> = serde_json::from_str(&drill.reasons).unwrap_or_default();
    say_all(&reasons, language).join("; ")
}
