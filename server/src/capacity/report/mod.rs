//! The periodic report of capacity and its record form, with the headings and columns that the field has for them
//! (Laporan Pengelolaan Kapasitas, Formulir Pencatatan). Siaga fills what it knows and drafts what the planner decides.
//!
//! - `period` (months), `statistics` (peak, mean, 95th percentile), `form` (the record form), `sections` (what the
//!   planner may write): plain functions.
//! - `gather` reads, `document` words, `pages` shows: the page where texts are written, and the document as page and
//!   PDF, `http` gives it to programs. `send` mails it to those named, once a month by itself.
//!
//! Use is that of the period; forecasts and proposals are those of the day of printing, and the document says so.

mod document;
mod form;
mod gather;
pub(super) mod http;
pub(super) mod pages;
mod period;
mod sections;
pub(super) mod send;
mod statistics;
