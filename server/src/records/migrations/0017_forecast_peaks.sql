-- Peaks of the days of the newest forecast: three 32-bit floats a day, percent.
ALTER TABLE forecast_latest ADD COLUMN peaks BLOB;
