//! What every store promises (`conformance`, `alerts`, `backfills`, `discards`, `endings`, `inbox`, `registry`, `replays`, `retries`, `told`, `turns`, `model`, `many`), and what the file (`file`) and the database (`postgres`) do
//! beside.

mod alerts;
mod backfills;
mod build;
mod conformance;
mod discards;
mod endings;
mod file;
mod inbox;
mod many;
mod model;
mod postgres;
mod registry;
mod replays;
mod retries;
#[path = "../../../../tests/postgres.rs"]
mod server;
mod told;
mod turns;

use alluvium_model::StatePlace;
use alluvium_store::{SqliteStore, StateStore};

async fn sqlite(folder: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(&folder.path().join("state.db")).await.expect("a fresh state opens")
}

/// Where a fresh state can be, and the folder that keeps it.
struct Fresh {
    place: StatePlace,
    _folder: Option<tempfile::TempDir>,
}

impl Fresh {
    fn file() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { place: StatePlace::File(folder.path().join("state.db")), _folder: Some(folder) }
    }

    fn schema() -> Self {
        Self { place: StatePlace::Postgres(server::SHARED.url().parse().expect("a url")), _folder: None }
    }

    async fn open(&self) -> StateStore {
        StateStore::open(&self.place).await.expect("a state opens")
    }
}

/// What stands for a file that is not there: SQLite in memory.
async fn in_memory() -> StateStore {
    let folder = tempfile::tempdir().expect("a folder");
    let place = StatePlace::File(folder.path().join("none.db"));
    StateStore::read(&place).await.expect("a state opens")
}

/// One test a case of each group and kind of store, each over its own fresh state.
macro_rules! conform {
    ($($set:ident: $($case:ident),* $(,)?;)*) => {
        mod sqlite_conforms {
            $($(#[tokio::test]
            async fn $case() {
                super::$set::$case(&*super::Fresh::file().open().await).await;
            })*)*
        }

        mod memory_conforms {
            $($(#[tokio::test]
            async fn $case() {
                super::$set::$case(&*super::in_memory().await).await;
            })*)*
        }

        mod postgres_conforms {
            $($(#[tokio::test]
            async fn $case() {
                super::$set::$case(&*super::Fresh::schema().open().await).await;
            })*)*
        }
    };
}

conform!(
    conformance:
    a_state_belongs_to_the_first_lake,
    arrivals_are_told_apart,
    a_path_that_is_told_again_counts_once,
    the_objects_of_a_step_tell_where_they_were_found,
    hostile_text_comes_back_as_it_was,
    pending_events_come_in_order,
    a_step_comes_back_as_it_was_planned,
    an_event_is_taken_once,
    a_position_moves_once,
    a_table_made_anew_may_start_before_the_position,
    conflicts_do_not_undo_the_others,
    superseding_gives_back_what_was_taken,
    superseding_an_older_step_leaves_the_newest_position,
    a_superseded_step_can_be_planned_again,
    one_step_of_a_dataset_runs_at_a_time,
    dead_and_late_owners_lose_their_lease,
    a_closed_step_is_not_claimed,
    an_attempt_that_had_nothing_to_commit_ends_the_step_only_as_its_newest,
    a_failed_step_stays_open,
    finishing_ends_everything_at_once,
    finishing_twice_changes_nothing,
    finishing_many_is_one_change,
    a_superseded_step_cannot_be_finished,
    the_last_finished_version_is_active,
    a_watermark_moves_and_never_back,
    runs_come_newest_first,
    what_was_never_told_is_refused,
    tables_show_what_happened,
    ten_thousand_at_once,
    a_run_without_its_process_is_interrupted,
    a_run_that_ends_gives_back_what_it_held,
    a_step_is_told_with_the_run_that_finished_it;
    alerts:
    an_alert_opens_once_and_is_resolved_once,
    troubles_are_those_of_now,
    what_waits_is_what_no_step_took_and_open_steps;
    discards:
    a_discard_is_written_down_with_its_step,
    a_discard_is_no_data,
    a_discard_makes_no_version_active,
    notes_stay_in_their_order;
    inbox:
    a_pushed_event_is_kept_once_until_it_is_landed,
    a_full_inbox_takes_nothing_of_a_list,
    a_list_without_a_place_in_its_rate_is_not_taken,
    a_list_takes_a_place_in_each_of_its_rates_or_in_none,
    what_another_process_landed_is_not_landed_again;
    retries:
    a_failed_step_waits_for_its_time,
    a_step_that_failed_too_often_is_a_dead_letter,
    what_a_gate_measured_is_kept_while_the_step_is_held,
    a_dead_step_comes_back_once,
    a_held_step_takes_one_verdict,
    a_dead_step_can_give_back_what_it_took,
    an_attempt_that_nobody_ended_has_failed,
    a_dead_event_comes_back_once,
    a_dead_event_whose_content_came_again_is_only_closed,
    what_comes_back_as_it_was_is_marked,
    definitions_are_kept_once,
    what_may_still_be_needed_of_landing_objects_is_known,
    retries_of_a_day_are_bounded;
    backfills:
    one_backfill_of_a_dataset_is_under_way,
    windows_stand_beside_the_live_step,
    a_backfill_that_is_dropped_is_forgotten,
    a_backfill_that_is_over_plans_nothing,
    windows_are_bounded_over_all_processes,
    a_window_waits_for_its_time_and_for_its_backfill,
    a_whole_table_is_not_swapped_over_open_steps;
    endings:
    what_waits_is_what_was_committed_in_the_range,
    what_is_not_known_to_be_committed_is_not_in_the_range,
    the_last_decision_of_a_run_counts,
    a_run_has_ended_with_the_last_of_its_steps,
    a_word_that_is_not_true_any_more_is_not_said,
    a_run_without_its_process_has_ended,
    a_backfill_ends_once_and_is_told_with_that;
    registry:
    versions_are_numbered_within_their_subject,
    a_content_is_known_again,
    the_version_in_force_is_one_and_its_history_has_no_gap,
    who_decided_by_an_older_revision_writes_nothing,
    what_is_deleted_is_out_of_use_and_its_number_stays,
    modes_are_kept_by_subject;
    replays:
    a_replay_is_asked_for_once,
    a_replay_is_taken_until_somebody_has_done_it,
    the_newest_commit_of_each_dataset_is_told,
    what_nobody_takes_up_is_told,
    what_waits_is_told_newest_first;
    told:
    a_commit_is_told_with_the_end_of_its_step,
    a_lane_keeps_its_order_and_one_works_on_it,
    a_failed_delivery_waits_for_its_time,
    a_lane_that_waits_for_its_sink_has_not_failed,
    a_sink_that_wants_no_more_is_off_until_it_is_another,
    only_the_newest_refusals_are_kept,
    everything_is_counted;
    turns:
    a_slot_is_held_with_the_lease_and_no_longer,
    slots_of_the_dead_and_the_late_are_free,
    a_step_takes_all_its_slots_or_none,
    who_was_planned_first_gets_the_slot,
    a_throttle_spreads_the_attempts,
    calls_share_a_rate_and_wait_in_no_row,
    a_step_is_ready_when_its_dataset_is_free,
    what_somebody_executes_is_not_held_off,
    a_refused_retry_takes_nothing;
);
