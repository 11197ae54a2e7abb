"""The reports domain: a shift, day, week or month on paper, in a workbook and by e-mail."""
