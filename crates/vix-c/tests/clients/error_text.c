/*
 * The least of clients: prints the text of an error. Given an argument, it loses memory first.
 */
#include <stdio.h>
#include <stdlib.h>

#include "vix.h"

int main(int argc, char **argv)
{
   (void) argv;
   if (argc > 1) {
      char *lost = (char *) malloc(100);
      if (lost == NULL) {
         return 1;
      }
      lost[0] = 'x';
      printf("%c", lost[0]);
   }
   printf("%s\n", Vix_GetErrorText(VIX_E_FILE_NOT_FOUND, NULL));
   return 0;
}
