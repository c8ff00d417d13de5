//! Tells the incidents which systems a drill did not leave as it found them. The incident ends when a later drill of
//! the same plan finds everything restored.

use super::bodies::reasons_of;
use super::plan::Plan;
use super::reason::say_all;
use crate::app::App;
use crate::incidents::{self, Severity, Signal, SignalSource};
use crate::records::drills::{self, Drill};

/// Hands over every plan whose newest drill did not find the system restored.
pub(super) async fn sync(app: &App) -> anyhow::Result<()> {
    let found = app.records.run(|db| drills::not_restored(db)).await?;
    incidents::sync(app, SignalSource::Drill, found.iter().map(signal).collect()).await
}

fn signal(drill: &Drill) -> Signal {
    let plan = Plan::read(&drill.plan_file, &drill.plan_text).ok();
    let title = |language: &str| {
        let name =
            plan.as_ref().map_or(drill.plan_name.as_str(), |plan| plan.say(language, &drill.plan_name));
        rust_i18n::t!("continuity.signal.title", locale = language).replace("%{plan}", name)
    };
    let detail = |language: &str| {
        let text = rust_i18n::t!("continuity.signal.detail", locale = language);
        let reasons = say_all(&reasons_of(drill), plan.as_ref(), language).join("; ");
        text.replace("%{number}", &drill.number.to_string()).replace("%{reasons}", &reasons)
    };
    Signal {
        key: drill.plan_id.clone(),
        instance: None,
        component: format!("drill:{}", drill.plan_id),
        severity: Severity::Critical,
        title_id: title("id"),
        title_en: title("en"),
        detail_id: detail("id"),
        detail_en: detail("en"),
        value: None,
        started_at_ms: drill.ended_at_ms.unwrap_or(drill.created_at_ms),
    }
}
