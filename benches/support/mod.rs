//! What the benches share: measuring in turns, a table, and a namespace full of interfaces.
#![allow(dead_code)] // Every bench takes a part of this.

pub mod bare;

use std::time::Instant;

use netlinkdb::{Db, Ifb, Result};

/// Seconds that each of two things takes, the median of many: in turns, so that the machine's moods hit both.
pub fn in_turns(mut first: impl FnMut(), mut second: impl FnMut()) -> [f64; 2] {
    let (mut firsts, mut seconds) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while (firsts.len() < 50 || start.elapsed().as_secs_f64() < 1.5) && firsts.len() < 3000 {
        for _ in 0..5 {
            firsts.push(time(&mut first));
        }
        for _ in 0..5 {
            seconds.push(time(&mut second));
        }
    }
    [median(firsts), median(seconds)]
}

/// Seconds that something takes, the median of `count`.
pub fn median_of(count: usize, mut what: impl FnMut()) -> f64 {
    median((0..count).map(|_| time(&mut what)).collect())
}

pub fn time(what: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    what();
    start.elapsed().as_secs_f64()
}

pub fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// `name value unit ratio`, in columns.
pub struct Table(Vec<[String; 4]>);

impl Table {
    pub fn new() -> Self {
        Table(vec![["name", "value", "unit", "ratio"].map(String::from)])
    }

    /// `ratio` is to the limit in the row before.
    pub fn row(&mut self, name: &str, value: f64, unit: &str, ratio: Option<f64>) {
        let ratio = ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        self.0.push([name.to_owned(), format!("{value:.2}"), unit.to_owned(), ratio]);
    }

    pub fn print(&self) {
        let width = self.0.iter().map(|row| row[0].len()).max().unwrap_or(0);
        for [name, value, unit, ratio] in &self.0 {
            println!("{name:width$}  {value:>10}  {unit:<4}  {ratio:>6}");
        }
    }
}

/// Makes interfaces in this namespace until there are `count`.
pub fn fill(count: usize) -> Result<()> {
    let db = Db::open()?;
    let mut tx = db.begin();
    for number in db.snapshot().link_count()..count {
        tx.create(Ifb::new(&format!("ifb{number}")).num_tx_queues(1).num_rx_queues(1))?;
    }
    tx.commit()?;
    Ok(())
}
