SELECT switch_part_2();
