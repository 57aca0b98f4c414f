"""The breaks: which rule each breaks, where, how, and which tests have to notice."""

from __future__ import annotations

from dataclasses import dataclass

EXAMPLES = "tests/model/test_examples.py"
MODEL = "tests/model/test_histories.py::test_seeded_histories_come_out_as_the_rules_say"
DEADLINES = "tests/unit/test_deadlines.py"
EVIDENCE = "services/goals/domain/evidence.py"
VERDICT = "services/goals/domain/verdict.py"
REVISION = "services/goals/domain/revision.py"
PAUSE = "services/goals/domain/pause.py"
CADENCE = "services/checkins/domain/cadence.py"
CHECK_IN = "services/checkins/domain/check_in.py"
COUNTED_GOAL = "services/metrics/domain/goal.py"


@dataclass(frozen=True)
class Break:
    """`old`, which stands exactly once in the file at `path`, becomes `new`; `engines`: the tests need them."""

    name: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...] = (EXAMPLES, MODEL)
    engines: bool = False


BREAKS = (
    # Time
    Break(
        "the second of a fold is chosen",
        "shared/time.py",
        "first = wall.replace(tzinfo=where, fold=0)",
        "first = wall.replace(tzinfo=where, fold=1)",
        (DEADLINES,),
    ),
    Break(
        "a deadline in a gap stands for an instant before the gap",
        "shared/time.py",
        "    return early + low * _SECOND",
        "    return early",
        (DEADLINES,),
    ),
    Break(
        "a day ends a minute early",
        "shared/time.py",
        'END_OF_DAY = "24:00"',
        'END_OF_DAY = "23:59"',
        (DEADLINES,),
    ),
    Break(
        "weekends are workdays",
        "shared/time.py",
        "        if day.weekday() in workdays:\n            count -= 1",
        "        count -= 1",
    ),
    # Rules 1 and 2
    Break(
        "progress is that of the check-in that came last",
        EVIDENCE,
        "    return fraction(max(known, key=_order).progress, measure) if known else 0.0",
        "    return fraction(known[-1].progress, measure) if known else 0.0",
    ),
    Break(
        "progress that counts down is measured as if it counted up",
        "services/goals/domain/progress.py",
        "        up = measure.end > measure.start\n",
        "        up = True\n",
    ),
    Break(
        "what was done at the deadline was done in time",
        EVIDENCE,
        "    if check_in.occurred_at >= due_at:",
        "    if check_in.occurred_at > due_at:",
    ),
    Break(
        "the grace is a moment longer",
        EVIDENCE,
        'return "timely" if check_in.logged_at < due_at + grace else "belated"',
        'return "timely" if check_in.logged_at <= due_at + grace else "belated"',
    ),
    Break(
        "a goal is met when it was told, not when it was done",
        VERDICT,
        "    return [Met(by=first.author_id, at=now, met_at=first.occurred_at, reason=first.note)]",
        "    return [Met(by=first.author_id, at=now, met_at=first.logged_at, reason=first.note)]",
    ),
    # Rule 3
    Break(
        "a miss waits for no watermark",
        "services/goals/misses.py",
        "                partition: min(up_to, now)\n",
        "                partition: now\n",
        ("tests/integration/test_misses_wait.py",),
        engines=True,
    ),
    Break(
        "a first event that comes again is taken for new for ever",
        "shared/intake.py",
        "                        trusting = False\n",
        "                        trusting = True\n",
        ("tests/integration/test_log.py::TestTheIntake",),
        engines=True,
    ),
    Break(
        "a watermark passes over what is not published",
        "services/checkins/domain/watermark.py",
        "min(stored, oldest_unpublished.get(number, stored))",
        "stored",
    ),
    Break(
        "a miss does not wait for the grace",
        PAUSE,
        "        return goal.due_at + grace\n",
        "        return goal.due_at\n",
    ),
    Break(
        "a goal can be revised while it is being decided",
        "services/goals/domain/goal.py",
        '    if goal.state == "active" and decision_at is not None and goal.due_at <= now:',
        "    if False:",
    ),
    Break(
        "what was only said is a check-in",
        EVIDENCE,
        "if c.occurred_at <= instant and not c.said)",
        "if c.occurred_at <= instant)",
    ),
    # Rule 4
    Break(
        "belated evidence needs no acknowledgement",
        VERDICT,
        "    return check_in.author_id == goal.counterpart_id or check_in.acknowledged",
        "    return True",
    ),
    Break(
        "the counterpart's evidence needs an acknowledgement too",
        VERDICT,
        "    return check_in.author_id == goal.counterpart_id or check_in.acknowledged",
        "    return check_in.acknowledged",
    ),
    Break(
        "a late GoalMet closes the door to belated evidence",
        VERDICT,
        '    if miss is None or goal.state not in ("missed", "met"):',
        '    if miss is None or goal.state != "missed":',
    ),
    # Rule 5
    Break(
        "a miss can be disputed again",
        "services/goals/domain/dispute.py",
        "    if goal.dispute is not None:\n",
        "    if goal.open_dispute is not None:\n",
    ),
    Break(
        "a miss can be disputed for ever",
        "services/goals/domain/dispute.py",
        "    if now > miss.missed_at + DISPUTABLE:\n",
        "    if False:\n",
    ),
    # Rule 6
    Break(
        "easing shortly before the deadline needs nobody",
        REVISION,
        "    return now >= goal.terms.deadline.workdays_before(rules.ease_workdays)",
        "    return False",
    ),
    Break(
        "easing needs the counterpart a moment too late",
        REVISION,
        "    return now >= goal.terms.deadline.workdays_before(rules.ease_workdays)",
        "    return now > goal.terms.deadline.workdays_before(rules.ease_workdays)",
    ),
    Break(
        "another kind of measure is not eased",
        REVISION,
        "    if new.kind != old.kind:\n        return True",
        "    if new.kind != old.kind:\n        return False",
    ),
    Break(
        "the counterpart revises at once",
        REVISION,
        "    owner = command.by == goal.owner_id\n",
        "    owner = True\n",
    ),
    Break(
        "a proposal holds though a person revised the goal since",
        REVISION,
        "    if goal.person_revision > proposal.revision:\n",
        "    if False:\n",
    ),
    Break(
        "a revised goal keeps the miss of the revision before",
        "services/goals/domain/goal.py",
        "                met_at=None,\n                miss=None,\n",
        "                met_at=None,\n",
    ),
    # Rule 7
    Break(
        "goals are missed in a pause",
        "services/goals/domain/mentorship.py",
        '        if self.state == "active":\n            return True\n',
        '        if self.state != "ended":\n            return True\n',
    ),
    Break(
        "only whole days of a pause count",
        PAUSE,
        "    return math.ceil((resumed_at - paused_at) / DAY)",
        "    return math.floor((resumed_at - paused_at) / DAY)",
    ),
    Break(
        "a resumption moves what was due before the pause",
        PAUSE,
        '    if goal.state == "active" and goal.due_at > paused_at:',
        '    if goal.state == "active":',
    ),
    Break(
        "an end drops goals whose evidence is on its way",
        PAUSE,
        '    return mentorship.ended_at if mentorship.state == "ended" else None',
        '    return goal.created_at if mentorship.state == "ended" else None',
    ),
    # Rule 8
    Break(
        "a lapse is decided before its grace is over",
        CADENCE,
        "        if period is not None and decided_until is None and period.expected_by + grace < at:",
        "        if period is not None and decided_until is None and period.expected_by < at:",
    ),
    Break(
        "a check-in in the grace saves a period",
        CADENCE,
        "    if period is not None and at > period.expected_by:\n        return replace(cadence, afterwards=at)\n",
        "",
    ),
    Break(
        "check-ins are expected after the deadline",
        CADENCE,
        "    bounds = (terms.due_at, cadence.missed_at,",
        "    bounds = (cadence.missed_at,",
    ),
    Break(
        "a revived goal is not counted anew",
        CADENCE,
        "    if revived or terms.every_days != cadence.terms.every_days:",
        "    if terms.every_days != cadence.terms.every_days:",
    ),
    Break(
        "a lapse is counted twice",
        "services/metrics/domain/diary.py",
        '    return (Weight("lapsed", day, 1),)',
        '    return (Weight("lapsed", day, 2),)',
    ),
    # Rule 9
    Break(
        "the owner says that a missed goal is met",
        "services/goals/domain/outcome.py",
        '    if miss_stands and goal.state == "missed" and by != goal.counterpart_id:',
        "    if False:",
    ),
    # Rule 10
    Break(
        "a sensitive check-in is told",
        CHECK_IN,
        "    if not check_in.sensitive:\n        told.append(",
        "    if True:\n        told.append(",
    ),
    Break(
        "a sensitive check-in exists for everybody",
        "services/checkins/domain/privacy.py",
        "    if check_in.sensitive:\n        return own and reader.in_person\n",
        "",
    ),
    Break(
        "a coordinator reads private words",
        "services/checkins/domain/privacy.py",
        "    return reader.participates and reader.person_id in check_in.pair",
        "    return reader.participates or reader.coordinates",
        ("tests/unit/checkins/test_privacy.py",),
    ),
    # Events
    Break(
        "a duplicate is not dropped",
        "shared/intake.py",
        "            if decoded.sequence <= subject.seq:",
        "            if decoded.sequence < subject.seq:",
        (
            "tests/integration/test_log.py::TestTheIntake::test_every_record_is_folded_once_though_all_come_twice",
        ),
        engines=True,
    ),
    # Numbers
    Break(
        "a retraction is restated on the day of the retraction",
        COUNTED_GOAL,
        '    day = day_of(min(event.due_at, event.missed_at))\n    goal.state = "active"',
        '    day = day_of(event.retracted_at)\n    goal.state = "active"',
    ),
    Break(
        "a miss counts though it was retracted",
        COUNTED_GOAL,
        '        Weight("missed", day, -1),\n',
        "",
    ),
    Break(
        "every GoalMet of a revision counts",
        COUNTED_GOAL,
        '            weights.append(Weight("met_late" if revision.late else "met", revision.met_on, -1))',
        "            pass",
    ),
    Break(
        "the system's revisions count as people's",
        COUNTED_GOAL,
        "    if event.revised_by != SYSTEM:\n",
        "    if True:\n",
    ),
    Break(
        "as_of answers from what was recorded later",
        "services/metrics/domain/explain.py",
        "        if day_of(item.time) <= as_of\n",
        "",
    ),
    Break(
        "numbers over four people are shown",
        "services/metrics/domain/withheld.py",
        "FEWEST = 5",
        "FEWEST = 4",
        ("tests/unit/metrics/test_withheld.py",),
    ),
    # Nudges
    Break(
        "quiet hours are ignored",
        "services/notifier/domain/rhythm.py",
        "        return self.quiet is not None and self.quiet.hold(wall.time())",
        "        return False",
        ("tests/unit/notifier/test_rhythm.py",),
    ),
    Break(
        "the daily budget is ignored",
        "services/notifier/domain/plan.py",
        "    while person.is_spent(rhythm.day(found)):",
        "    while False:",
        ("tests/unit/notifier/test_reasons.py",),
    ),
    Break(
        "what was said is said again",
        "services/notifier/domain/plan.py",
        "    if reminder.key in world.said or not _meant_for(reminder, world):",
        "    if not _meant_for(reminder, world):",
        ("tests/unit/notifier",),
    ),
)
