//! The axioms: facts of life that no code changes, and what answers them.
//!
//! Each axiom is stated here, once. Elsewhere it is only linked, and it shows
//! in a type: what follows from the fact should be awkward to forget.
//!
//! | Axiom | Fact | Patterns | The type that carries it | The tests that show it |
//! |---|---|---|---|---|
//! | **Latency** | Every hop takes time, and the slowest one decides. | [`timeout`](crate::timeout) | [`Deadline`](crate::context::Deadline): a point in time that every layer further in consults, and can only bring forward | `a_deadline_is_only_ever_shortened`, `an_earlier_deadline_stands`, `the_tightest_outside_arms_the_only_timer` |
//! | **Latency** | The slow tail is chance, and of many calls one meets it. | [`hedge`](crate::hedge) | the [budget](crate::budget::RetryBudget) again: a second attempt spends from it, so that what cures the tail of a few cannot double the load of all | `slowness_throughout_adds_no_more_than_the_budget_and_ends`, `losers_are_dropped_before_the_answer_is_returned` |
//! | **Failure** | Parts fail, and fail together. | [`circuit_breaker`](crate::circuit_breaker) | [`Rejected`](crate::Rejected): no failure but a refusal, so what we decide is not taken for what we observe | `only_a_call_that_was_made_is_evidence`, `refusals_of_other_layers_are_no_failures` |
//! | **Failure** | What failed may come back, and nobody is told. | [`circuit_breaker`](crate::circuit_breaker) | [`Permit`](crate::circuit_breaker::Permit): a trial call holds a place with a lease, so that no lost call keeps a breaker from asking again | `a_dropped_permit_returns_its_slot`, `a_probe_that_hangs_fails_at_its_lease`, `never_more_probes_than_slots` |
//! | **Failure** | Most failures are partial. | [`circuit_breaker`](crate::circuit_breaker) | [`Adaptive`](crate::circuit_breaker::Adaptive), which refuses a share, and `KeyedCircuitBreaker`, which refuses one place of many | `it_refuses_a_share_and_never_opens`, `one_bad_host_costs_the_good_ones_nothing` |
//! | **Failure** | What is asked again by all who failed is asked too much. | [`retry`](crate::retry) | [`RetryBudget`](crate::budget::RetryBudget): an extra attempt is a token of an account that all share, and a request is repeated only if it was [declared](crate::context::Repeatability) to be | `extra_attempts_never_exceed_what_calls_and_time_deposited`, `three_hops_that_retry_ask_a_dead_dependency_little_more_than_once` |
//! | **Latency** and **failure** | A part that hangs is a part that failed, once somebody says so. | both, stacked | [`Reason`](crate::Reason): says on which side of the call a rejection arose | `a_hang_behind_an_attempt_timeout_opens_the_breaker` |
//! | **Capacity** | Every resource is finite. | [`bulkhead`](crate::bulkhead) | [`Permit`](crate::bulkhead::Permit): it cannot be copied, and what it stands for is given back when it is dropped | `in_flight_never_exceeds_limit`, `a_cancelled_waiter_never_swallows_a_permit`, `resize_loses_no_permit` |
//! | **Capacity** | How much there is, nobody says. | [`adaptive`](crate::adaptive) | [`LimitAlgorithm`](crate::adaptive::LimitAlgorithm): fed what windows of calls were like, and not asked by any call | `a_window_is_told_as_it_was`, `a_window_is_closed_by_one_call_and_every_call_counts_once` |
//! | **Capacity** | What one takes is not there for the others. | [`rate_limit`](crate::rate_limit) | [`Quota`](crate::rate_limit::Quota): it cannot be nothing, and a decision by one that is no longer good fails | `never_more_than_a_burst_and_the_rate`, `who_is_asked_while_a_quota_changes_decides_by_one_of_them`, `several_limits_decide_as_one_and_take_all_or_nothing` |
//! | **Capacity** | More may come than can be served, and it does not all matter the same. | [`load_shed`](crate::load_shed) | [`Priority`](crate::context::Priority): every request has one, and it goes where the request goes; an [`AdmissionLevel`](crate::context::AdmissionLevel) says to callers from which on it is worth asking | `what_matters_least_is_shed_first`, `what_would_be_refused_is_not_sent`, `something_always_passes` |
//! | **Capacity** | No node holds everything, and membership changes. | [`consistent_hash`](crate::consistent_hash), [`slot_map`](crate::slot_map), [`router`](crate::router) | [`Membership`](crate::consistent_hash::Membership): numbered, immutable, and an argument of every placement, so that [`moved`](crate::consistent_hash::moved) can be asked before it is changed | `only_keys_of_a_node_that_leaves_move`, `rendezvous_answers_as_ever`, `replicas_are_distinct_and_spread_as_far_as_there_are_domains` |
//! | **Capacity** | Some keys are asked for more than others. | [`bounded_load`](crate::bounded_load) | [`Pick`](crate::bounded_load::Pick): it counts while it is held, and what it counts for cannot be above its share | `not_even_one_request_more_than_the_cap_is_placed`, `overshoot_never_exceeds_the_other_pickers` |
//! | **Failure** | One customer's fault is everybody's, where all share everything. | [`shuffle_shard`](crate::shuffle_shard) | [`Shard`](crate::shuffle_shard::Shard): few nodes, and which of them are somebody else's can be counted | `as_many_pairs_share_nodes_as_chance_would_have_it` |
//! | **Concurrency** | Many things happen at once, and nobody sees the order in which they do. | none yet | the permit again: it carries the generation that issued it | `a_stale_result_never_moves_a_newer_state`, `no_transition_is_lost` |
//! | **Coordination** | No step is atomic across two machines. | [`outbox`](crate::outbox), [`inbox`](crate::inbox), [`idempotency`](crate::idempotency), [`saga`](crate::saga) | [`Verdict`](crate::outbox::Verdict): a broker's answer that was lost is no failure but `Unknown`; and [`Repeatability`](crate::context::Repeatability): unless a request was declared repeatable, nothing repeats it; and [`Lease`](crate::idempotency::Lease): nothing is written for a claim that another has followed; and [`Fault::Unknown`](crate::saga::Fault::Unknown): what may have happened is undone as what has | `a_crash_at_any_step_loses_nothing_and_keeps_the_order`, `a_lost_confirmation_is_no_failure`, `a_request_that_nobody_declared_repeatable_is_sent_once`, `nothing_is_written_for_a_lease_that_was_followed`, `what_is_in_doubt_is_tried_again_with_the_same_key_and_undone_at_last` |
//! | **Coordination** | Who was declared dead may go on. | [`outbox`](crate::outbox) | [`Epoch`](crate::outbox::Epoch): every write says under which one it is made, and the store refuses an old one | `a_late_write_is_refused_and_counted`, `what_was_fetched_under_a_lease_that_is_lost_is_not_published` |
//! | **Observability** | Nobody acts on what nobody sees. | none of its own; every mechanism has a name and a snapshot | [`Snapshot`](crate::circuit_breaker::Snapshot): plain numbers that print as a line | `a_snapshot_prints_as_a_line`, `telemetry_lists_the_names_that_are_emitted_and_no_others` |
//! | **Human interface** | People run it, under stress, and err. | none of its own; every mechanism has a mode and can be changed while it runs | [`Mode`](crate::Mode), and configurations that are refused where they are made | `shadow_counts_what_it_would_refuse_and_refuses_nothing`, `an_operator_is_never_overruled`, `a_configuration_that_cannot_work_is_refused` |
//! | **Economics** | Exact knowledge costs more than most questions are worth. | [`bloom`](crate::bloom), [`count_min`](crate::count_min), [`hot_keys`](crate::hot_keys) | [`Estimate`](crate::bloom::Estimate) and [`may_contain`](crate::bloom::BloomFilter::may_contain): a number that was not counted says how far it may be off, and an answer that may be wrong is not called `contains`; beside them the [windows](crate::window), whose memory is fixed, whatever the load | `no_key_is_ever_denied`, `the_rate_is_that_of_the_table`, `no_more_estimates_are_too_high_than_was_asked`, `a_full_bucket_counts_no_more` |
//! | **Economics** | Who may not be wrong pays for it, and need not pay for every question. | [`bloom`](crate::bloom) | [`AtomicWordFilter`](crate::bloom::AtomicWordFilter): "new" is certain and told to one alone, "seen" is asked of what is exact | `exactly_one_is_told_new_while_a_key_that_overlaps_is_inserted`, `at_most_one_is_told_new_while_keys_that_cover_it_are_inserted` |
//!
//! So five of the eight have patterns today, latency, failure, capacity,
//! coordination and economics. For concurrency there is vocabulary and no
//! pattern; observability and the human interface are duties of every mechanism
//! rather than mechanisms.
//!
//! # Eight axioms and seven laws
//!
//! The catalogue of patterns comes from a compendium of distributed systems
//! that first stated eight axioms and in later editions speaks of seven laws.
//! This project keeps the eight, because crates divide well along them, and
//! the sentences in the table above are its own. Which law took the place of
//! which axiom is here as the compendium's own plan for the change has it
//! (`AXIOM_UPDATE_PLAN.md` in github.com/deepaucksharma/DStudio), and nothing
//! is added:
//!
//! | Axiom here | Law of the later editions |
//! |---|---|
//! | Latency | asynchronous reality |
//! | Failure | correlated failure |
//! | Capacity, coordination | multidimensional optimisation |
//! | Concurrency | emergent chaos |
//! | Observability | distributed knowledge |
//! | Human interface | cognitive load |
//! | Economics | economic reality |
