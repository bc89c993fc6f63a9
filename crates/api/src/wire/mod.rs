//! The types of requests and answers, by topic. Everything is exported flat from here.

#[macro_use]
mod words;

mod acting;
mod baseline;
mod clone;
mod event;
mod forecast;
mod health;
mod network;
mod problem;
mod property;
mod run;
mod status;

pub use acting::{
    AcceptRequest, ActRequest, Acted, ApproveRequest, JudgeRequest, Judgement, PauseRequest,
    PlanView, PlannedStep, RehearseRequest, WindowRequest,
};
pub use baseline::{
    BaselineDiff, BaselineHistory, BaselineProperty, BaselineSummary, BaselineView, Difference,
};
pub use clone::{FileChange, FileChangeKind, Generation, GenerationDiff, GenerationList, Verdict};
pub use event::{
    AuditList, AuditQuery, AuditRecord, AuditReport, Event, EventDetail, EventKind, EventList,
    EventQuery, Evidence, Explanation, GuardCheck, Outlook,
};
pub use forecast::{
    Coverage, FirstPassage, ForecastQuery, ForecastView, HorizonForecast, ModelWeight, Shift,
    ShiftKind,
};
pub use health::{Health, Refits};
pub use network::{Network, NetworkStage, TrainedNetwork};
pub use problem::Problem;
pub use property::{
    Aggregation, Band, Breach, BreachKind, Change, ChangeList, ChangeQuery, Harm, HistoryQuery,
    Origin, PathBound, Place, Point, Property, PropertyList, Series, Severity, Stream, Surprise,
    Unreadable, ValueKind, WireValue,
};
pub use run::{Choice, PlanKind, RunOutcome, RunStep, RunView, StepStatus};
pub use status::{
    ApprovalView, CloneStatus, FleetStatus, Instance, InstanceHealth, InstanceStatus, Mode, Pause,
    PhaseKind, PolicyView, RehearsalStatus, ResourceDetail, ResourceStatus, Window, WorstProperty,
};
pub use words::UnknownWord;

/// An instant: RFC 3339 in UTC, `2026-11-24T23:14:46.250Z`.
pub type Rfc3339 = String;

/// The number of a run (`r12`), an event (`e7`), a generation (`g3`) or a baseline (`v2`), with its
/// letter. Routes take it with or without the letter.
pub type Id = String;
