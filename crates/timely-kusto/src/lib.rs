//! A sink for timely and differential dataflows into Azure Data Explorer (Kusto).
