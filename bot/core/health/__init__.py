"""What the doctor finds, and how it judges what it found."""
