"""Ways out besides the cloud: Sparkplug B to a broker, CSV and Parquet files on disk."""
