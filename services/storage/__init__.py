"""What is kept on disk or in a bucket: originals, thumbnails, the data folder."""
