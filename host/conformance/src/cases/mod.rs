//! The table. A case checks one property, so that a fault fails few of them.

mod describe;
mod inspect;
mod watch;

mod entries;
mod log_options;
mod logs;
mod resume;

mod creation;
mod exec;
mod lifecycle;
mod transfer;

mod limits;

use std::time::Duration;

use crate::case::ConformanceCase;

/// The time after which most cases have failed.
const LIMIT: Duration = Duration::from_secs(60);

/// How often a case is run that measures a time.
const TIMED: usize = 3;

macro_rules! table {
    ($($name:literal => $function:path $(, limit $limit:expr)? $(, attempts $attempts:expr)?;)*) => {
        vec![$(ConformanceCase {
            name: $name,
            limit: [$($limit,)? LIMIT][0],
            attempts: [$($attempts,)? 1][0],
            run: |context| Box::pin($function(context)),
        }),*]
    };
}

/// Returns every case, in the order in which they run.
pub fn table() -> Vec<ConformanceCase> {
    table! {
        "describe/is-valid" => describe::is_valid;
        "describe/is-the-same-each-time" => describe::is_the_same_each_time;
        "describe/a-call-without-its-capability-is-unsupported" => describe::missing_capabilities;

        "watch/begins-with-a-listing" => watch::begins_with_a_listing;
        "watch/lists-each-existing-object" => watch::lists_each_object;
        "watch/lists-equal-ids-of-two-namespaces" => watch::lists_equal_ids;
        "watch/reports-changes-in-order" => watch::reports_changes_in_order;
        "watch/reports-removals" => watch::reports_removals;
        "watch/reports-namespaces" => watch::reports_namespaces;
        "watch/ends-a-burst-in-the-last-state" => watch::burst;
        "watch/a-cut-connection-ends-it-with-unavailable" => watch::cut_connection;
        "watch/nothing-is-missed-across-a-cut" => watch::nothing_is_missed_across_a_cut;
        "watch/ends-within-a-second" => watch::ends_within_a_second, attempts TIMED;

        "inspect/returns-the-object" => inspect::returns_the_object;
        "inspect/equals-the-listed-object" => inspect::equals_the_listed_object;
        "inspect/an-unknown-object-is-not-found" => inspect::unknown_objects;
        "inspect/looks-in-the-namespace-only" => inspect::looks_in_the_namespace_only;
        "inspect/an-id-has-the-declared-form" => inspect::id_form;
        "inspect/a-malformed-id-is-rejected" => inspect::malformed_id;
        "inspect/odd-names-survive" => inspect::odd_names;
        "inspect/raw-is-json-without-secrets" => inspect::raw_has_no_secrets;
        "inspect/an-unresponsive-engine-blocks-no-other-call" => inspect::concurrent_calls;

        "logs/has-every-byte-in-order" => logs::every_byte_in_order;
        "logs/odd-bytes-survive" => logs::odd_bytes;
        "logs/a-chunk-is-bounded" => logs::chunk_is_bounded;
        "logs/follow-continues-and-ends-with-the-container" => logs::follow;
        "logs/output-is-not-delayed" => logs::not_delayed, attempts TIMED;
        "logs/a-terminal-is-one-source" => logs::terminal;
        "logs/an-unknown-container-is-not-found" => logs::unknown_container;
        "logs/a-cut-connection-is-an-error" => logs::cut_connection;
        "logs/ends-within-a-second" => logs::ends_within_a_second, attempts TIMED;
        "logs/tail" => log_options::tail;
        "logs/since" => log_options::since;
        "logs/until" => log_options::until;
        "logs/until-ends-a-followed-log" => log_options::until_ends_a_followed_log;
        "logs/timestamps" => log_options::timestamps;
        "logs/sources" => log_options::sources;
        "logs/options-in-pairs" => log_options::pairs;

        "entries/have-the-bytes-of-the-other-form" => entries::same_bytes;
        "entries/keep-the-order-of-both-sources" => entries::order_of_sources;
        "entries/odd-bytes-survive" => entries::odd_bytes;
        "entries/a-long-line-comes-in-parts" => entries::long_line;
        "entries/have-times" => entries::have_times;
        "entries/tail" => entries::tail;
        "entries/since-and-until" => entries::since_and_until;
        "entries/sources" => entries::sources;
        "entries/follow-continues-and-ends-with-the-container" => entries::follow;
        "entries/an-unknown-container-is-not-found" => entries::unknown_container;
        "entries/ends-within-a-second" => entries::ends_within_a_second, attempts TIMED;
        "resume/the-order-of-equal-times-is-stable" => resume::stable_order;
        "resume/loses-and-doubles-nothing" => resume::loses_and_doubles_nothing;
        "resume/counts-among-the-selected-sources" => resume::selected_sources;
        "resume/includes-earlier-times" => resume::earlier_times;
        "resume/follows" => resume::follows;
        "resume/a-lost-position-is-a-gap" => resume::lost_position;

        "act/starts-and-stops" => lifecycle::starts_and_stops;
        "act/pauses-and-unpauses" => lifecycle::pauses;
        "act/is-idempotent" => lifecycle::idempotent;
        "act/a-state-that-forbids-it-is-a-conflict" => lifecycle::act_conflict;
        "act/an-unknown-container-is-not-found" => lifecycle::act_not_found;
        "remove/removes-the-container" => lifecycle::removes_the_container;
        "remove/an-unknown-object-is-not-found" => lifecycle::remove_not_found;
        "remove/leaves-other-namespaces-alone" => lifecycle::remove_in_one_namespace;
        "remove/a-replaced-volume-stays" => lifecycle::replaced_volume;
        "remove/a-moved-tag-stays" => lifecycle::moved_tag;
        "remove/what-is-in-use-is-a-conflict" => lifecycle::remove_conflict;
        "create/makes-the-specified-container" => creation::makes_the_container;
        "create/generates-a-name" => creation::generates_a_name;
        "create/a-name-in-use-is-a-conflict" => creation::name_in_use;
        "create/an-unknown-image-is-not-found" => creation::unknown_image;
        "create/makes-the-specified-volume" => creation::makes_the_volume;
        "create/a-volume-that-exists-is-a-conflict" => creation::volume_exists;

        "exec/returns-output-and-exit-code" => exec::output_and_exit_code;
        "exec/keeps-the-sources-apart" => exec::sources;
        "exec/returns-only-the-requested-sources" => exec::requested_sources;
        "exec/passes-its-options" => exec::options;
        "exec/a-command-that-cannot-run-is-126-or-127" => exec::cannot_run;
        "exec/a-signal-is-128-plus-its-number" => exec::signal;
        "exec/half-closes-the-input" => exec::half_close;
        "exec/without-input-it-ends-at-once" => exec::without_input;
        "exec/a-closed-input-does-not-end-it" => exec::closed_input;
        "exec/input-and-output-are-independent" => exec::independent;
        "exec/a-terminal-has-a-size" => exec::terminal_size;
        "exec/ends-within-a-second" => exec::stops, attempts TIMED;
        "exec/an-unknown-container-is-not-found" => exec::not_found;
        "exec/a-stopped-container-is-a-conflict" => exec::conflict;
        "pull/reports-each-layer-and-adds-the-image" => transfer::pull;
        "pull/an-unknown-image-is-not-found" => transfer::pull_not_found;
        "pull/ends-within-a-second" => transfer::pull_stops, limit Duration::from_secs(90), attempts TIMED;
        "push/reports-each-layer" => transfer::push;
        "push/an-unknown-tag-is-not-found" => transfer::push_not_found;

        "limits/a-thousand-logs-at-once" => limits::thousand_logs, limit Duration::from_secs(300);
        "limits/nothing-stays-open" => limits::nothing_stays_open, attempts TIMED;
        "limits/memory-does-not-grow" => limits::memory, limit Duration::from_secs(900);
    }
}
