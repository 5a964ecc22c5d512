"""What a data set must look like, how its files are read and written, and who is sent away when it does not."""
