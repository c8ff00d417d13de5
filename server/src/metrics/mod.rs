//! The store of time series and the evaluator of PromQL, tied together.
