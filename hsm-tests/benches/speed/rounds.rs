//! Rounds: each contender gets its short turn in each round, in another order each time, so that a machine that grows
//! slower or quicker does so for all of them. Ratios are taken within a round.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};

/// What one contender does in its turn; the result is a rate or a time.
pub(crate) type Turn<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// The figures of all contenders, round by round.
#[derive(Debug, Default)]
pub(crate) struct Rounds(BTreeMap<&'static str, Vec<f64>>);

/// Median, least and most of several figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Rounds {
    /// Runs them.
    pub(crate) fn run(rounds: usize, contenders: &mut [(&'static str, Turn<'_>)]) -> Self {
        let mut figures = Self::default();
        let count = contenders.len();
        for round in 0..rounds {
            for turn in 0..count {
                let (name, turn) = &mut contenders[(round + turn) % count];
                progress(&format!("round {} of {rounds}: {name}", round + 1));
                let figure = turn();
                figures.0.entry(name).or_default().push(figure);
            }
        }
        progress("");
        figures
    }

    /// The figures of one contender.
    pub(crate) fn of(&self, name: &str) -> Spread {
        Spread::of(&self.0[name])
    }

    /// One contender's figures over another's, round by round.
    pub(crate) fn ratio(&self, ours: &str, theirs: &str) -> Spread {
        let ratios = self.0[ours].iter().zip(&self.0[theirs]).map(|(ours, theirs)| ours / theirs);
        Spread::of(&ratios.collect::<Vec<_>>())
    }

    /// What one contender takes more than another, round by round.
    pub(crate) fn difference(&self, ours: &str, theirs: &str) -> Spread {
        let more = self.0[ours].iter().zip(&self.0[theirs]).map(|(ours, theirs)| ours - theirs);
        Spread::of(&more.collect::<Vec<_>>())
    }
}

impl Spread {
    /// Of at least one figure.
    pub(crate) fn of(figures: &[f64]) -> Self {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Self { median, least: sorted[0], most: sorted[sorted.len() - 1] }
    }
}

/// One line that the next one replaces; on a terminal only.
pub(crate) fn progress(line: &str) {
    let mut terminal = std::io::stderr().lock();
    if terminal.is_terminal() {
        write!(terminal, "\r\x1b[K{line}").and_then(|()| terminal.flush()).ok();
    }
}
