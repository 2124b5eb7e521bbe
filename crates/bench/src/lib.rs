//! Side-by-side benchmarks with other libraries. There is no code here; the benchmarks are in `benches/`.
