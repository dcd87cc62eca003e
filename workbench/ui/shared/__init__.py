"""What several pages use: the bar and the footer, stages and cards of jobs, buttons, and how numbers are written."""
