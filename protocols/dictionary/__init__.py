"""The industrial data dictionary: properties, units and value lists in Chinese and English."""
