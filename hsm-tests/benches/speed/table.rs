//! The table: for a person on the terminal, and in Markdown for the README.

use std::fmt::Write as _;

use crate::goal::{GOALS, Goal, Promise};
use crate::rounds::{Rounds, Spread};

/// What was measured, row by row.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<(&'static Goal, Found)>);

/// What was found for one row.
#[derive(Debug)]
pub(crate) enum Found {
    /// The figure that the promise is about, and what it was made from.
    Measured { spread: Spread, from: String },
    /// Nothing, and why.
    NotRun(String),
}

impl Table {
    /// One more row.
    pub(crate) fn add(&mut self, row: &str, found: Found) {
        self.0.push((goal(row), found));
    }

    /// The rows of another one.
    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// A row of two rates, taken within rounds.
    pub(crate) fn rates(&mut self, row: &str, rounds: &Rounds, ours: &str, theirs: &str) {
        let [rate, other] = [ours, theirs].map(|name| thousands(rounds.of(name).median));
        let from = format!("{rate}/s : {other}/s");
        self.add(row, Found::Measured { spread: rounds.ratio(ours, theirs), from });
    }

    /// A row of two times, taken within rounds.
    pub(crate) fn times(&mut self, row: &str, rounds: &Rounds, ours: &str, theirs: &str) {
        let from = format!("{:.0} ms : {:.0} ms", rounds.of(ours).median, rounds.of(theirs).median);
        self.add(row, Found::Measured { spread: rounds.ratio(ours, theirs), from });
    }

    /// A row with a figure of its own.
    pub(crate) fn figure(&mut self, row: &str, spread: Spread, from: &str) {
        self.add(row, Found::Measured { spread, from: from.to_owned() });
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (goal, found) in self.sorted() {
            let [figure, from, verdict] = found.cells(goal);
            let (goal, what, verdict) = (goal.promised(), goal.what, verdict.trim_matches('*'));
            writeln!(text, "{what:<80} {goal:>9}  {figure:<22} {verdict:<7} {from}").unwrap();
        }
        text
    }

    /// For the README.
    pub(crate) fn markdown(&self, machine: &str) -> String {
        let mut text = String::from("| what | goal | measured | | from |\n|---|---|---|---|---|\n");
        for (goal, found) in self.sorted() {
            let [figure, from, verdict] = found.cells(goal);
            writeln!(text, "| {} | {} | {figure} | {verdict} | {from} |", goal.what, goal.promised())
                .unwrap();
        }
        writeln!(text, "\n{machine}").unwrap();
        text
    }

    fn sorted(&self) -> impl Iterator<Item = (&'static Goal, &Found)> {
        let found = |goal: &'static Goal| self.0.iter().find(|(one, _)| one.row == goal.row);
        GOALS.iter().filter_map(found).map(|(goal, found)| (*goal, found))
    }
}

impl Found {
    /// Figure, what it is made from, verdict.
    fn cells(&self, goal: &Goal) -> [String; 3] {
        match self {
            Self::NotRun(why) => ["not run".to_owned(), why.clone(), "not run".to_owned()],
            Self::Measured { spread, from } => {
                let median = shown(goal.promise, spread.median);
                let figure = match goal.promise {
                    Promise::Under(_, unit) if spread.least < spread.most => {
                        format!("{median:.1} {unit} ({:.1}–{:.1})", spread.least, spread.most)
                    }
                    Promise::Under(_, unit) => format!("{median:.1} {unit}"),
                    _ => format!("{median:.2} × ({:.2}–{:.2})", spread.least, spread.most),
                };
                [figure, from.clone(), goal.verdict(median).to_owned()]
            }
        }
    }
}

/// A figure with as many decimals as the table has, rounded to our disadvantage: what reads as kept is kept.
fn shown(promise: Promise, figure: f64) -> f64 {
    match promise {
        Promise::AtLeast(_) | Promise::None => (figure * 100.0).floor() / 100.0,
        Promise::AtMost(_) => (figure * 100.0).ceil() / 100.0,
        Promise::Under(..) => (figure * 10.0).ceil() / 10.0,
    }
}

/// The row of that name.
///
/// # Panics
/// When there is none.
pub(crate) fn goal(row: &str) -> &'static Goal {
    GOALS.iter().find(|goal| goal.row == row).unwrap_or_else(|| panic!("there is no row {row}"))
}

/// 12345.6 as "12,346".
fn thousands(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let split = digits.len().saturating_sub(3);
    match digits.split_at_checked(split) {
        Some((front, back)) if !front.is_empty() => format!("{front},{back}"),
        _ => digits,
    }
}
