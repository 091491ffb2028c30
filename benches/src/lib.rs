//! Measurements of Trilith.
//!
//! Two kinds live in this folder. `cargo bench -p trilith-benches` times what every request pays for in the pure
//! layers (numbers, keys, item bytes, expressions). `make bench` puts the same load on the whole server and on its
//! peers and writes report.md: its parts are compare.py, subjects.py, chart.py and the wrk scripts in load/.
//!
//! Absent on purpose: thresholds on micro-benchmarks. Two cores shared with a build say nothing about a nanosecond.
