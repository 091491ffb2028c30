//! Operations as a client sees them: tables of requests and the exact texts that refuse them, and answers to the byte
//! and the half unit.

mod batches;
mod items;
mod legacy;
mod pages;
mod tables;
mod transactions;
