SELECT truncate_t3();
