//! `status`: the fleet at a glance, or one resource in full.

use evenkeel_api::wire::{
    BreachKind, CloneStatus, FleetStatus, InstanceHealth, InstanceStatus, Network, NetworkStage,
    PhaseKind, PolicyView, ResourceDetail, ResourceStatus, WorstProperty,
};
use evenkeel_core::Timestamp;

use super::events::event_table;
use crate::args::StatusArgs;
use crate::error::CliError;
use crate::render::text::{
    band, breach_when, clean, deviation, elide, from_now, percent, span, span_ms, time_of_day,
};
use crate::render::{Column, Page, Paint, Painted, Style, Table, guard_lines, sparkline};
use crate::session::Session;

/// Columns for a property's path in the fleet's table.
const PATH_COLUMNS: usize = 34;
/// Points of the sparkline in the fleet's table.
const SPARKLINE_POINTS: usize = 20;

pub(super) async fn status(session: &mut Session<'_>, args: &StatusArgs) -> Result<(), CliError> {
    if let Some(resource) = &args.resource {
        let detail = session.client.resource(resource).await?;
        if args.json {
            return session.json(&detail);
        }
        let page = resource_page(&detail, session.now(), session.screen.style);
        return session.text(&page);
    }
    let fleet = session.client.status().await?;
    if args.json {
        return session.json(&fleet);
    }
    let page = fleet_page(&fleet, session.now(), session.screen.style);
    session.text(&page)
}

fn fleet_page(fleet: &FleetStatus, now: Timestamp, style: Style) -> String {
    let mut page = Page::new(style);
    if fleet.resources.is_empty() {
        page.line("no resources: name some in the configuration, `evenkeel init` finds candidates");
        return page.finish();
    }
    let mut table = Table::new(&[
        Column::Left("RESOURCE"),
        Column::Left("PHASE"),
        Column::Left("MODE"),
        Column::Left("ON"),
        Column::Left("WORST PROPERTY"),
        Column::Left("DEVIATION"),
        Column::Right("NOW"),
        Column::Left("BAND"),
        Column::Right("LEAD"),
        Column::Right("CONF"),
        Column::Left("CLONE"),
    ]);
    for resource in &fleet.resources {
        table.row(fleet_row(resource));
    }
    page.table(&table, 0);
    let troubled: Vec<&ResourceStatus> = fleet
        .resources
        .iter()
        .filter(|resource| needs_attention(resource))
        .collect();
    if !troubled.is_empty() {
        page.gap();
    }
    for resource in troubled {
        let name = Painted::new(Paint::Yellow, &resource.name);
        page.line(name.then(Paint::Plain, format!(": {}", resource.sentence)));
        page.items(notes(resource, now));
    }
    let networks: Vec<String> = (fleet.networks.iter())
        .filter_map(|network| network_line(network, now))
        .collect();
    if !networks.is_empty() {
        page.gap();
    }
    for line in networks {
        page.line(Painted::new(Paint::Dim, line));
    }
    page.finish()
}

/// How the network of a kind stands; nothing about one that nobody asked for.
fn network_line(network: &Network, now: Timestamp) -> Option<String> {
    let mut parts = Vec::new();
    match network.stage {
        NetworkStage::Off => return None,
        NetworkStage::Waiting => parts.push(format!(
            "waiting for series with enough history, {} of {}",
            network.series.unwrap_or_default(),
            network.series_needed.unwrap_or_default()
        )),
        NetworkStage::Training => {
            let done = percent(network.done.unwrap_or_default());
            parts.push(format!("training, {done}"));
        }
        NetworkStage::Ready => {}
    }
    if let Some(trained) = &network.trained {
        parts.push(format!(
            "trained {} on {} series with {} values",
            from_now(now, &trained.at),
            trained.series,
            trained.values
        ));
    }
    let kind = clean(&network.kind);
    Some(format!("network of kind {kind}: {}", parts.join("; ")))
}

fn fleet_row(resource: &ResourceStatus) -> Vec<Painted> {
    let mut row = vec![
        Painted::new(Paint::Bold, &resource.name),
        phase(resource.phase),
        resource.mode.as_str().into(),
        resource.serving.as_str().into(),
    ];
    match &resource.worst {
        Some(worst) => row.extend(worst_cells(worst, resource)),
        None => row.extend(vec![Painted::default(); 6]),
    }
    row.push(
        resource
            .clone
            .as_ref()
            .map_or_else(|| "none".into(), clone_text),
    );
    row
}

fn worst_cells(worst: &WorstProperty, resource: &ResourceStatus) -> [Painted; 6] {
    let skipped = worst.recent.len().saturating_sub(SPARKLINE_POINTS);
    let paint = breach_paint(worst.breach.kind);
    [
        elide(&worst.path, PATH_COLUMNS).into(),
        sparkline(&worst.recent[skipped..], worst.band),
        Painted::new(paint, deviation(worst.deviation)),
        band(worst.band).into(),
        Painted::new(paint, resource.lead_time_s.map(span).unwrap_or_default()),
        resource.confidence.map(percent).unwrap_or_default().into(),
    ]
}

fn clone_text(clone: &CloneStatus) -> Painted {
    let Some(newest) = &clone.newest_good else {
        return Painted::new(Paint::Red, "no good generation");
    };
    let age = clone
        .newest_good_age_s
        .map(|age| format!(", {} old", span(age)))
        .unwrap_or_default();
    let paint = if clone.sync_problem.is_some() {
        Paint::Yellow
    } else {
        Paint::Plain
    };
    Painted::new(paint, format!("{newest}{age}"))
}

pub(super) fn breach_paint(kind: BreachKind) -> Paint {
    match kind {
        BreachKind::None => Paint::Plain,
        BreachKind::Predicted => Paint::Yellow,
        BreachKind::Observed => Paint::Red,
    }
}

fn phase(phase: PhaseKind) -> Painted {
    let paint = match phase {
        PhaseKind::Guarded => Paint::Green,
        PhaseKind::Settling | PhaseKind::Seeding => Paint::Cyan,
        PhaseKind::Moving | PhaseKind::Reinstating => Paint::Yellow,
        PhaseKind::Unprotected | PhaseKind::Held => Paint::Red,
    };
    Painted::new(paint, phase.as_str())
}

fn needs_attention(resource: &ResourceStatus) -> bool {
    let is_calm = match resource.phase {
        PhaseKind::Guarded | PhaseKind::Settling | PhaseKind::Seeding => true,
        PhaseKind::Moving | PhaseKind::Reinstating | PhaseKind::Unprotected | PhaseKind::Held => {
            false
        }
    };
    !is_calm || resource.breaching > 0 || !notes(resource, Timestamp::default()).is_empty()
}

/// What a person should know of a resource beside its row.
fn notes(resource: &ResourceStatus, now: Timestamp) -> Vec<Painted> {
    let mut notes = Vec::new();
    let mut note = |paint, text: String| notes.push(Painted::new(paint, text));
    if let Some(why) = &resource.phase_why {
        note(Paint::Red, format!("{}: {why}", resource.phase));
    }
    if let Some(problem) = &resource.probe_problem {
        note(Paint::Red, format!("cannot be read: {problem}"));
    }
    let sync_problem = resource
        .clone
        .as_ref()
        .and_then(|clone| clone.sync_problem.as_ref());
    if let Some(problem) = sync_problem {
        note(Paint::Red, format!("last sync failed: {problem}"));
    }
    if let Some(rehearsal) = resource
        .rehearsal
        .as_ref()
        .filter(|rehearsal| !rehearsal.ok)
    {
        let why = rehearsal.why.as_deref().unwrap_or("no reason was given");
        let when = from_now(now, &rehearsal.at);
        note(
            Paint::Red,
            format!(
                "last rehearsal failed ({}, {when}): {why}",
                rehearsal.generation
            ),
        );
    }
    if let Some(pause) = &resource.pause {
        let until = pause
            .until
            .as_deref()
            .map_or("until resumed".to_owned(), |until| {
                format!("until {} ({})", time_of_day(until), from_now(now, until))
            });
        note(
            Paint::Yellow,
            format!("paused by {} {until}: {}", pause.by, pause.why),
        );
    }
    for window in &resource.windows {
        let by = window
            .by
            .as_deref()
            .map(|by| format!(" by {by}"))
            .unwrap_or_default();
        let why = window
            .why
            .as_deref()
            .map(|why| format!(": {why}"))
            .unwrap_or_default();
        let (from, until) = (from_now(now, &window.from), from_now(now, &window.until));
        note(
            Paint::Yellow,
            format!("window{by} from {from} until {until}{why}"),
        );
    }
    if let Some(approval) = &resource.approval {
        let until = from_now(now, &approval.until);
        note(
            Paint::Cyan,
            format!("one failover approved by {}, void {until}", approval.by),
        );
    }
    notes
}

fn resource_page(detail: &ResourceDetail, now: Timestamp, style: Style) -> String {
    let status = &detail.status;
    let mut page = Page::new(style);
    let head =
        Painted::new(Paint::Bold, &status.name).then(Paint::Plain, format!(" ({})  ", status.kind));
    page.line(
        head.join(phase(status.phase))
            .then(Paint::Plain, format!(", mode {}", status.mode)),
    );
    page.item(status.sentence.as_str());
    page.items(notes(status, now));
    page.gap();
    page.table(&facts(status, now), 2);
    instances(&mut page, &detail.instances);
    policy(&mut page, &detail.policy);
    if !detail.guards.is_empty() {
        page.heading("Guards now");
        page.items(guard_lines(&detail.guards));
    }
    if !detail.unreadable.is_empty() {
        page.heading("Unreadable: unknown, not gone");
        for place in &detail.unreadable {
            page.item(format!("{}: {}", place.path, place.why));
        }
    }
    if !detail.events.is_empty() {
        page.heading("Lately");
        page.table(&event_table(detail.events.iter().rev(), now), 2);
    }
    page.finish()
}

fn facts(status: &ResourceStatus, now: Timestamp) -> Table {
    let mut table = Table::new(&[Column::Left(""), Column::Left("")]);
    let mut fact = |name: &str, text: Painted| table.row([Painted::new(Paint::Dim, name), text]);
    if !status.labels.is_empty() {
        let labels: Vec<String> = status
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        fact("labels", labels.join(" ").into());
    }
    if let Some(entrance) = &status.entrance {
        fact(
            "entrance",
            format!("{entrance} -> {}", status.serving).into(),
        );
    }
    if let Some(run) = &status.run {
        fact("saga", format!("{run}: `evenkeel saga show {run}`").into());
    }
    let baseline = status.baseline.as_deref().unwrap_or("none yet");
    fact("baseline", baseline.into());
    let read = status
        .probed_at
        .as_deref()
        .map_or("never read".to_owned(), |at| {
            format!("read {}", from_now(now, at))
        });
    let breaching = format!(
        "{} watched, {} in breach, {read}",
        status.properties, status.breaching
    );
    fact("properties", breaching.into());
    if let Some(worst) = &status.worst {
        let paint = breach_paint(worst.breach.kind);
        let text = Painted::plain(format!("{}  ", worst.path))
            .join(sparkline(&worst.recent, worst.band))
            .then(paint, format!("  {}", deviation(worst.deviation)))
            .then(Paint::Plain, format!(" in {}", band(worst.band)));
        fact("worst", text);
    }
    let breach = status.worst.as_ref().map(|worst| worst.breach);
    match breach.map_or(BreachKind::None, |breach| breach.kind) {
        BreachKind::None => {}
        BreachKind::Observed => fact("breach", "beyond the limit now".into()),
        BreachKind::Predicted => {
            fact(
                "breach",
                breach.as_ref().map(breach_when).unwrap_or_default().into(),
            );
        }
    }
    if let Some(clone) = &status.clone {
        let synced = clone
            .synced_at
            .as_deref()
            .map(|at| format!(", synced {}", from_now(now, at)));
        let counts = format!(
            " ({} good, {} suspect, {} quarantined){}",
            clone.good,
            clone.suspect,
            clone.quarantined,
            synced.unwrap_or_default()
        );
        fact("clone", clone_text(clone).then(Paint::Plain, counts));
    }
    if let Some(rehearsal) = &status.rehearsal {
        let outcome = if rehearsal.ok { "well" } else { "failed" };
        let when = from_now(now, &rehearsal.at);
        fact(
            "rehearsal",
            format!("{} {outcome}, {when}", rehearsal.generation).into(),
        );
    }
    if let Some(activation) = status.activation_ms {
        fact(
            "activation",
            format!("{} as measured", span_ms(activation)).into(),
        );
    }
    table
}

fn instances(page: &mut Page, instances: &[InstanceStatus]) {
    page.heading("Instances");
    let mut table = Table::new(&[const { Column::Left("") }; 5]);
    for instance in instances {
        let role = if instance.serves { "serves" } else { "standby" };
        let paint = match (instance.health, instance.serves) {
            (InstanceHealth::Well, _) => Paint::Green,
            (InstanceHealth::Down, false) => Paint::Plain,
            (InstanceHealth::Unwell, _) | (InstanceHealth::Down, true) => Paint::Red,
            (InstanceHealth::Unknown, _) => Paint::Yellow,
        };
        table.row([
            instance.instance.as_str().into(),
            role.into(),
            Painted::new(paint, instance.health.as_str()),
            instance.endpoint.as_deref().unwrap_or_default().into(),
            instance.health_why.as_deref().unwrap_or_default().into(),
        ]);
    }
    page.table(&table, 2);
}

fn policy(page: &mut Page, policy: &PolicyView) {
    page.heading("Policy");
    page.item(format!(
        "acts {} on {} at confidence {} or more, seen in {} of {} evaluations; risk tolerance {}",
        policy.when,
        match policy.act_on.as_str() {
            "band" => "what leaves its band",
            _ => "what is headed for its limit",
        },
        percent(policy.min_confidence),
        policy.sustain_k,
        policy.sustain_n,
        policy.risk_tolerance
    ));
    page.item(format!(
        "forecasts {} ahead, reads every {}; cool-down {}, data at most {} old",
        span(policy.horizon_s),
        span(policy.sample_every_s),
        span(policy.cool_down_s),
        span(policy.max_data_age_s)
    ));
    let approval = if policy.approval_required {
        "each failover needs approval"
    } else {
        "no approval needed"
    };
    let revert = if policy.revert {
        "is put back to its baseline"
    } else {
        "is left as it is"
    };
    page.item(format!(
        "{approval}; the old primary {revert} after a failover"
    ));
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
