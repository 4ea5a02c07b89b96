"""Programs that prove the contract of jdl: each is one small file that uses public names only."""
