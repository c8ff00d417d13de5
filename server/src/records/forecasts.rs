//! Rows of forecasts.
