use std::time::Duration;

use proptest::prelude::*;

use super::{Gauge, Level, Level::*, Strain, Thresholds, controller::State, thresholds::Bounds};

const SECOND: Duration = Duration::from_secs(1);
const DWELL: Duration = Duration::from_secs(3);

/// Of a budget of 1000: a tenth of a percent is one.
fn bounds() -> Bounds {
    Thresholds::new().of(1000)
}

fn at(level: Level) -> State {
    State {
        level,
        ..State::START
    }
}

fn step(state: State, heap: u64, now: Duration) -> State {
    state.towards(
        bounds().wanted(state.level, heap, Strain::default()),
        now,
        DWELL,
    )
}

/// How often readings, each with its time, change the level from Normal, and what it is after them.
fn changes(readings: impl IntoIterator<Item = (Duration, u64)>) -> (usize, Level) {
    let mut changes = 0;
    let mut state = State::START;
    for (now, heap) in readings {
        let next = step(state, heap, now);
        changes += usize::from(next.level != state.level);
        state = next;
    }
    (changes, state.level)
}

#[test]
fn levels_are_entered_and_left_where_the_table_says() {
    for (level, heap, expected) in [
        (Normal, 749, Normal),
        (Normal, 750, Elevated),
        (Normal, 850, Soft),
        (Normal, 950, Hard),
        (Elevated, 700, Elevated),
        (Elevated, 699, Normal),
        (Soft, 800, Soft),
        (Soft, 799, Elevated),
        (Soft, 0, Elevated),
        (Hard, 880, Hard),
        (Hard, 879, Soft),
        (Hard, 0, Soft),
    ] {
        let next = step(at(level), heap, DWELL).level;
        assert_eq!(next, expected, "{level:?} at {heap} of 1000");
    }
}

#[test]
fn a_level_dwells_before_it_falls_but_hard_is_left_at_once() {
    let early = DWELL - SECOND / 1000;
    assert_eq!(step(at(Soft), 0, early), at(Soft));
    let left = step(at(Hard), 0, early);
    assert_eq!((left.level, left.since), (Soft, early));
    let stay = step(left, 0, DWELL);
    assert_eq!(stay, left, "the stay at Soft counts from its start");
    assert_eq!(step(left, 0, early + DWELL).level, Elevated);
}

#[test]
fn falls_take_longer_while_the_level_goes_up_and_down_and_start_anew_after_a_calm() {
    let mut state = at(Soft);
    let mut now = Duration::ZERO;
    for stay in [3, 12, 48, 48] {
        let dwell = Duration::from_secs(stay);
        assert_eq!(step(state, 780, now + dwell - SECOND), state);
        now += dwell;
        state = step(step(state, 780, now), 860, now);
        assert_eq!(state.level, Soft, "after {stay} s it fell, and rose again");
    }
    state = step(state, 780, now + 48 * SECOND);
    assert_eq!(state.level, Elevated);
    now = state.since + 60 * SECOND;
    state = step(state, 860, now);
    assert_eq!(step(state, 780, now + DWELL).level, Elevated);
}

/// A heap that climbs for a minute and is then given up, with noise on it nearly as wide as the narrowest hysteresis.
#[test]
fn a_saw_tooth_of_a_minute_changes_the_level_six_times() {
    for noise in [0, 7, 20] {
        let tooth = (0..2400_i64).map(|tick| {
            let climb = if tick < 1200 {
                500 + tick * 5 / 12
            } else {
                500
            };
            let heap = climb + noise * (tick % 5 - 2) / 2;
            (SECOND / 20 * tick as u32, heap as u64)
        });
        assert_eq!(changes(tooth), (6, Normal), "noise {noise}");
    }
}

/// Caches that give back down to 75 % and fill again, quickly or slowly.
#[test]
fn caches_that_give_back_and_fill_again_do_not_make_it_flap() {
    for period in [1, 7, 40, 200, 590, 610] {
        let teeth = (0..600).map(|tick| {
            (
                SECOND / 10 * tick,
                u64::from(750 + 110 * (tick % period) / period),
            )
        });
        let (changes, _) = changes(teeth);
        assert!(
            changes <= 6,
            "{changes} changes with teeth of {period} / 10 s"
        );
    }
}

#[test]
fn thresholds_of_extreme_budgets_do_not_overflow() {
    for budget in [1, 2, u64::MAX] {
        let gauge = Gauge::new(budget, &Thresholds::new());
        assert_eq!(gauge.observe(0, Strain::default(), || DWELL), Normal);
        assert_eq!(
            gauge.observe(budget, Strain::default(), || Duration::MAX),
            Hard
        );
        assert_eq!(gauge.observe(0, Strain::default(), || Duration::MAX), Soft);
    }
}

#[test]
fn thresholds_out_of_order_or_range_say_what_is_allowed() {
    let wrong = |thresholds: Thresholds| thresholds.check().unwrap_err().to_string();
    assert_eq!(
        wrong(Thresholds::new().soft(101, 80)),
        "Soft is entered at 101 % and left below 80 %, but must be entered at 1 to 100 % and left below less"
    );
    assert!(wrong(Thresholds::new().elevated(0, 0)).starts_with("Elevated is entered at 0 %"));
    assert!(wrong(Thresholds::new().hard(95, 95)).starts_with("Hard is entered at 95 %"));
    assert!(wrong(Thresholds::new().elevated(85, 70)).contains("[85, 85, 95] %"));
    assert!(wrong(Thresholds::new().soft(85, 69)).contains("[70, 69, 88] %"));
    assert!(wrong(Thresholds::new().dwell(3601 * SECOND)).starts_with("dwell is 3601s"));
    for right in [
        Thresholds::default(),
        Thresholds::new().elevated(1, 0).soft(2, 0).hard(100, 0),
        Thresholds::new().dwell(Duration::ZERO),
    ] {
        assert_eq!(right.check(), Ok(()));
    }
}

fn readings(most: u64) -> impl Strategy<Value = Vec<(Duration, u64)>> {
    prop::collection::vec((0..most, 0..4000_u64), 1..300).prop_map(|readings| {
        let mut now = Duration::ZERO;
        let timed = readings.into_iter().map(|(heap, millis)| {
            now += Duration::from_millis(millis);
            (now, heap)
        });
        timed.collect()
    })
}

proptest! {
    #[test]
    fn rising_is_prompt_and_falling_is_by_one(readings in readings(1200)) {
        let mut state = State::START;
        let mut last = Duration::ZERO;
        for (now, heap) in readings {
            let next = step(state, heap, now);
            let entered = bounds().enter.iter().filter(|&&enter| heap >= enter).count();
            prop_assert!(next.level as usize >= entered, "{heap} left the level at {:?}", next.level);
            prop_assert!(next.level as usize + 1 >= state.level as usize);
            if next.level < state.level {
                prop_assert!(heap < bounds().leave[state.level as usize - 1]);
                prop_assert!(state.level == Hard || now - state.since >= DWELL);
            }
            prop_assert!(next.level != Hard || heap >= bounds().leave[2], "Hard at {heap}");
            (state, last) = (next, now);
        }
        for _ in 0..3 {
            last += 48 * SECOND;
            state = step(state, 0, last);
        }
        prop_assert_eq!(state.level, Normal);
    }

    #[test]
    fn below_hard_the_level_changes_six_times_a_minute_at_most(readings in readings(950)) {
        let mut state = State::START;
        let mut changed = Vec::new();
        for (now, heap) in readings {
            let next = step(state, heap, now);
            if next.level != state.level {
                changed.push(now);
            }
            state = next;
        }
        for seven in changed.windows(7) {
            prop_assert!(seven[6] - seven[0] >= 60 * SECOND, "{seven:?}");
        }
    }

    #[test]
    fn the_word_keeps_the_state(readings in readings(1200)) {
        let gauge = Gauge::new(1000, &Thresholds::new());
        let told = gauge.watch();
        let mut state = State::START;
        for (now, heap) in readings {
            state = step(state, heap, now);
            prop_assert_eq!(gauge.observe(heap, Strain::default(), || now), state.level);
            prop_assert_eq!(*told.borrow(), state.level);
        }
    }
}

#[test]
fn a_cgroup_over_its_ceiling_is_hard_and_pressure_is_one_level_more() {
    let bounds = bounds();
    let over = Strain {
        over_ceiling: true,
        pressed: false,
    };
    let pressed = Strain {
        over_ceiling: false,
        pressed: true,
    };
    for (level, heap, raised) in [
        (Normal, 0, Elevated),
        (Normal, 749, Elevated),
        (Normal, 750, Soft),
        (Elevated, 700, Elevated),
        (Elevated, 750, Soft),
        (Soft, 0, Elevated),
        (Soft, 850, Soft),
        (Soft, 949, Soft),
        (Soft, 950, Hard),
        (Hard, 880, Hard),
        (Hard, 0, Soft),
    ] {
        assert_eq!(
            bounds.wanted(level, heap, pressed),
            raised,
            "{level:?} at {heap}"
        );
        assert_eq!(bounds.wanted(level, heap, over), Hard);
    }
}
