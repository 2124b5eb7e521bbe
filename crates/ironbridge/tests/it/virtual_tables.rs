//! Virtual tables through the real process: answers compared with SQL over the same file.

mod collations;
mod filters;
mod hostile;
mod odd_values;
mod protocol;
mod publish;
mod rest;
mod servers;
mod stock;
mod types;
mod ways;
