"""The pages of all metrics, a file a family, each one literal tuple."""
