//! What must hold of runs and of the record of an operation that has ended, whatever happened.

use switchback::failover::HookCall;
use switchback::runbook::{OnFailure, Operation, PARALLEL, Phase, Task, TaskStatus};

/// A record of an operation that has ended says nothing else than its tasks do.
pub(crate) fn ended_as_it_says(operation: &Operation) {
    let tasks = operation.tasks.iter().enumerate();
    let running = |task: &Task| task.status.is_running();
    // Whose service is gone is put aside as it stood when the process ended.
    let gone =
        matches!(&operation.phase, Phase::NeedsHuman(why) if why.contains("no longer configured"));
    assert!(
        gone || !operation.tasks.iter().any(running),
        "{operation:?}"
    );
    match &operation.phase {
        Phase::Completed => {
            for (index, task) in tasks {
                let passed_over = operation.step(index).unwrap().on_failure == OnFailure::Continue
                    && matches!(task.status, TaskStatus::Failed(_));
                let done = task.status == TaskStatus::Done;
                assert!(done || passed_over, "{operation:?}");
            }
        }
        Phase::Halted(_) => {
            assert!(!operation.has_published(), "{operation:?}");
            for (index, task) in tasks {
                let may_stay = operation.step(index).unwrap().undo.is_none();
                let done = task.status == TaskStatus::Done;
                assert!(may_stay || !done, "it is taken back: {operation:?}");
            }
        }
        Phase::NeedsHuman(_) => {
            let by_itself = operation.turned_back.is_none();
            let asked = !operation.in_question().is_empty();
            assert!(gone || asked, "it asks about a task: {operation:?}");
            let undone = |task: &Task| task.status == TaskStatus::Undone;
            assert!(
                !by_itself || !operation.tasks.iter().any(undone),
                "{operation:?}"
            );
        }
        Phase::Forward | Phase::Backward(_) => panic!("{operation:?}"),
    }
}

/// What runs at one time belongs to one step, goes one way, and has a bound.
pub(crate) fn runs_beside_its_like<'a>(
    running: impl Iterator<Item = &'a HookCall>,
    call: &HookCall,
) {
    let beside = |other: &&HookCall| {
        assert_eq!((&other.step, other.undo), (&call.step, call.undo));
        assert_ne!(other.task, call.task, "a task runs once at a time");
        true
    };
    assert!(running.filter(beside).count() < PARALLEL);
}
